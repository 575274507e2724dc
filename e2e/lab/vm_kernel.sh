# Makes what a virtual machine boots with, FOLDER/kernel/vmlinuz, initrd and base: sh vm_kernel.sh FOLDER BASE INIT
# BASE is the folder of which every node is an overlay, and which becomes a disk; INIT is the first program.
#
# Wants to run as root in a mount namespace of its own. The cached folder is named after the sum of this text and of
# INIT, so that whatever is changed here makes a new one.
set -eu

folder=$1 base=$2 init=$3

# Modules, with what they need: what a virtual machine boots from, what makes block devices and file systems, and the
# ciphers that Ceph's client and ext4 ask for by name.
MODULES="virtio_pci virtio_blk virtio_net virtio_rng overlay ext4 xfs loop
	dm-mod dm-snapshot nbd rbd ceph autofs4 tun
	crc32c_generic aes_generic cbc ctr gcm ghash-generic seqiv"

say() { echo "# $*"; }

# The lists of a fresh machine may be too old, or missing.
download() { apt-get -q -o APT::Sandbox::User=root download "$@"; }

say "downloading a kernel"
mkdir "$folder/packages" "$folder/kernel"
cd "$folder/packages"
image() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: //p' | head -n 1; }
kernel=$(image)
if [ -z "$kernel" ] || ! download "$kernel" busybox-static; then
	apt-get -q -o DPkg::Lock::Timeout=300 update
	kernel=$(image)
	download "$kernel" busybox-static
fi
for package in *.deb; do dpkg-deb -x "$package" "$folder/all"; done
busybox=$folder/all/bin/busybox
[ -e "$busybox" ] || busybox=$folder/all/usr/bin/busybox
all=$(ls -d "$folder"/all/lib/modules/* "$folder"/all/usr/lib/modules/* 2>/dev/null | head -n 1)
version=${all##*/}

say "making its initrd"
"$busybox" depmod -b "${all%/lib/modules/*}" "$version"
root=$folder/initrd
modules=$root/lib/modules/$version
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/new" "$root/base" "$root/disk" "$modules"
cp "$busybox" "$root/bin/busybox"
cp "$all/modules.order" "$all/modules.builtin" "$all/modules.builtin.modinfo" "$modules/"
for module in $MODULES; do
	# Others call it the other way.
	pattern=$(echo "$module" | sed 's/[-_]/[-_]/g')
	# One that is built in has no line.
	sed -n "s,^\(.*/$pattern\.ko[^:]*\):,\1,p" "$all/modules.dep"
done | tr ' ' '\n' | sort -u | while read -r file; do
	[ -n "$file" ] || continue
	mkdir -p "$modules/${file%/*}"
	case $file in
	*.xz) "$busybox" xzcat "$all/$file" >"$modules/${file%.xz}" ;;
	*) cp "$all/$file" "$modules/$file" ;;
	esac
done
# The base's own writes the form that its modprobe wants, besides the one that busybox wants.
mount --bind "$root" "$base/mnt"
chroot "$base" depmod -b /mnt "$version"
umount "$base/mnt"

printf '%s' "$init" >"$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | "$busybox" cpio -o -H newc) >"$folder/kernel/initrd"
cp "$(ls "$folder"/all/boot/vmlinuz-*)" "$folder/kernel/vmlinuz"

# Reading it through QEMU's file server instead would take some hundred thousand questions a boot.
say "making the disk of the base"
size=$(du -sm "$base" | cut -f 1)
mkfs.ext4 -q -m 0 -i 8192 -O ^has_journal -d "$base" "$folder/kernel/base" "$((size + size / 4 + 64))M"
