#!/bin/busybox sh
# The first program of a virtual machine. Its root folder is the base, its first disk, with all changes on the second.
export PATH=/bin
/bin/busybox --install -s /bin
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe -a crc32c_generic virtio_pci virtio_blk virtio_net virtio_rng overlay ext4
mount -t ext4 -o ro /dev/vda /base
mount -t ext4 -o noatime /dev/vdb /disk
rm -rf /disk/work
mkdir /disk/work
mount -t overlay -o lowerdir=/base,upperdir=/disk/upper,workdir=/disk/work root /new

# The base masks what has nothing to do in a container. Here there are devices.
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
	modprobe@.service kmod-static-nodes.service lvm2-monitor.service lvm2-lvmpolld.socket dm-event.socket \
	blk-availability.service; do
	rm -f "/new/etc/systemd/system/$unit"
done
# Its kernel modules are not among those that it has.
ln -sf /dev/null /new/etc/systemd/system/proc-sys-fs-binfmt_misc.automount
ln -sf /dev/null /new/etc/systemd/system/systemd-binfmt.service
mkdir -p /new/lib/modules
mount -t tmpfs modules /new/lib/modules
cp -a /lib/modules/. /new/lib/modules/

address=$(sed -n 's/.*lab.address=\([^ ]*\).*/\1/p' /proc/cmdline)
ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up

umount /proc
umount /sys
mount -o move /dev /new/dev
exec switch_root /new /sbin/init
