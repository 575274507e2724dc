#!/bin/busybox sh
# The first program of a virtual machine. Its root folder is the base, with all changes on its first disk.
export PATH=/bin
/bin/busybox --install -s /bin
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe -a crc32c_generic virtio_pci virtio_blk virtio_net virtio_rng 9pnet_virtio 9p overlay ext4
# The base does not change: what was read once need not be asked for again.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=1048576 base /base
mount -t ext4 -o noatime /dev/vda /disk
rm -rf /disk/work
mkdir /disk/work
mount -t overlay -o lowerdir=/base,upperdir=/disk/upper,workdir=/disk/work root /new

mkdir -p /new/lib/modules
mount -t tmpfs modules /new/lib/modules
cp -a /lib/modules/. /new/lib/modules/

# What containers have no use for.
for unit in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
	modprobe@.service kmod-static-nodes.service; do
	rm -f "/new/etc/systemd/system/$unit"
done

address=$(sed -n 's/.*lab.address=\([^ ]*\).*/\1/p' /proc/cmdline)
ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up

umount /proc
umount /sys
mount -o move /dev /new/dev
exec switch_root /new /sbin/init
