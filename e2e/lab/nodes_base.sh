# Makes the folder of which every node is an overlay, FOLDER/base: sh nodes_base.sh FOLDER SUITE HOST
#
# SUITE is the release of Debian in it, HOST that of this host.
# Wants to run as root in a mount namespace of its own: what it mounts it leaves to that to unmount. The cached folder
# is named after the sum of this text, so that whatever is changed here makes a new one.
set -eu

folder=$1 suite=$2 host=$3
dir=$folder/root

# What a node of a Ganeti cluster with Ceph has, and for tests faketime and what makes a guest. No time daemon: the
# nodes have the host's clock.
PACKAGES="systemd systemd-sysv udev dbus kmod procps iproute2 iputils-ping openssh-server python3 faketime
	ceph-mon ceph-mgr ceph-osd ceph-common lvm2 e2fsprogs xfsprogs gdisk parted
	qemu-system-x86 qemu-block-extra
	ganeti"
# Debian 12 has it in ceph-osd.
PACKAGES_IF_ANY="ceph-volume"

# What Debian starts at boot and a node has no use for: the first have nothing to do in a container or never end, the
# second want a configured cluster.
MASK="apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
	fstrim.timer systemd-tmpfiles-clean.timer systemd-ask-password-wall.path systemd-ask-password-console.path
	console-getty.service getty.target systemd-logind.service systemd-udevd.service systemd-udev-trigger.service
	systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-update-utmp.service
	systemd-update-utmp-runlevel.service systemd-networkd.service
	systemd-networkd.socket systemd-networkd-wait-online.service systemd-firstboot.service systemd-pstore.service
	lvm2-monitor.service lvm2-lvmpolld.socket dm-event.socket blk-availability.service uuidd.socket
	smartmontools.service nvmf-autoconnect.service nvmefc-boot-connections.service logrotate.timer
	modprobe@.service kmod-static-nodes.service
	sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount"
DISABLE="ceph-crash.service rbdmap.service ganeti.service ganeti.target"

# Modules of the mgr that nobody here turns on, and no release by itself. It loads all that it finds, and these take as
# long as the others together.
SPARE_MODULES="alerts cephadm cli_api dashboard diskprediction_local feedback influx insights k8sevents localpool
	mds_autoscaler mirroring osd_perf_query osd_support rgw rook selftest snap_schedule stats telegraf test_orchestrator
	zabbix"

say() { echo "# $*"; }

# Installing means thousands of syncs, which take longer than all the rest. A volatile overlay makes none.
mkdir "$folder/empty" "$folder/base" "$folder/work" "$dir"
mount -t overlay -o "volatile,lowerdir=$folder/empty,upperdir=$folder/base,workdir=$folder/work" lab "$dir"

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# Nobody reads here.
mkdir -p "$dir/etc/dpkg/dpkg.cfg.d" "$dir/usr/sbin"
cat >"$dir/etc/dpkg/dpkg.cfg.d/lab" <<'END'
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
END

# The mirror is the one that apt has for Debian here, or else debootstrap's own.
mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(SITE)' 'Identifier: Packages' |
	sed -n "s/^$host main //p" | head -n 1)

say "installing Debian $suite"
debootstrap --variant=minbase "$suite" "$dir" ${mirror:+"$mirror"}

# Packages come from where the host has them from, also with its proxy and its pins, but without its hooks, whose
# programs are not there. Another release than the host's comes from the mirror as debootstrap has set it up.
names="auth.conf auth.conf.d keyrings"
[ "$suite" != "$host" ] || names="$names sources.list sources.list.d preferences.d trusted.gpg trusted.gpg.d"
for name in $names; do
	rm -rf "$dir/etc/apt/$name"
	[ ! -e "/etc/apt/$name" ] || cp -rL "/etc/apt/$name" "$dir/etc/apt/"
done
apt-config dump | grep '^Acquire::' | grep -v -e '^Acquire::IndexTargets' -e '^Acquire::Changelogs' \
	>"$dir/etc/apt/apt.conf.d/99host"
cp -rL /usr/share/keyrings/. "$dir/usr/share/keyrings/"
mkdir -p "$dir/etc/ssl/certs"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/"
cp -L /etc/resolv.conf /etc/hosts "$dir/etc/"

# dpkg's scripts ask this before they start a service.
printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
chmod 755 "$dir/usr/sbin/policy-rc.d"
mount -t proc proc "$dir/proc"
mount -t sysfs -o ro sysfs "$dir/sys"
[ -e "$dir/dev/null" ] || mount --rbind /dev "$dir/dev"

say "installing Ceph and what else a node has"
in_base() { chroot "$dir" "$@"; }
in_base apt-get -q update
for package in $PACKAGES_IF_ANY; do
	[ -z "$(in_base apt-cache madison "$package")" ] || PACKAGES="$PACKAGES $package"
done
in_base apt-get -q -y install --no-install-recommends $PACKAGES

say "making it a node"
in_base apt-get -q clean
# The host's, among them passwords of mirrors.
rm -rf "$dir/etc/apt/auth.conf" "$dir/etc/apt/auth.conf.d" "$dir/etc/apt/apt.conf.d/99host"
rm -rf "$dir/var/lib/apt/lists" "$dir/usr/sbin/policy-rc.d" "$dir/etc/dpkg/dpkg.cfg.d/lab"
rm -f "$dir/etc/resolv.conf" "$dir/etc/hosts" "$dir/etc/hostname"
# Every node has its own.
rm -f "$dir"/etc/ssh/ssh_host_*
for unit in $MASK; do ln -sf /dev/null "$dir/etc/systemd/system/$unit"; done
for unit in $DISABLE; do
	[ ! -e "$dir/lib/systemd/system/$unit" ] || in_base systemctl --quiet disable "$unit"
done
in_base systemctl --quiet set-default multi-user.target
# A node has no use for what they make of /etc/fstab and the like, and each enable and disable runs all of them. One
# makes the unit of Ganeti.
mkdir -p "$dir/etc/systemd/system-generators"
for generator in "$dir"/usr/lib/systemd/system-generators/systemd-*; do
	[ "${generator##*/}" = systemd-sysv-generator ] || ln -s /dev/null "$dir/etc/systemd/system-generators/${generator##*/}"
done
for module in $SPARE_MODULES; do rm -rf "$dir/usr/share/ceph/mgr/$module"; done
# A login reads it.
touch "$dir/etc/default/locale"
# It is not synced now either: that would wait for all that others write to the disk. After a loss of power in this
# minute, remove the cache.
umount -R "$dir"
