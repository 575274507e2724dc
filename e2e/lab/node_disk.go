package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk gives the node one more disk of this size, which is empty, and returns its device: "/dev/loop5" in a container,
// which is there again, as root:disk, after each boot; "/dev/disk/by-id/virtio-disk1" in a virtual machine.
func (n *Node) Disk(ctx context.Context, sizeMiB int) (device string, err error) {
	if device, err = n.disk(ctx, sizeMiB); err != nil {
		return "", fmt.Errorf("add disk to %s: %w", n.Name, err)
	}
	return device, nil
}

func (n *Node) disk(ctx context.Context, sizeMiB int) (device string, err error) {
	file, err := os.CreateTemp(n.lab.Dir, n.Name+"-disk")
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := file.Truncate(int64(sizeMiB) << 20); err != nil {
		return "", err
	}
	return n.body.plug(ctx, file)
}

// plug makes a loop device.
func (c *container) plug(ctx context.Context, file *os.File) (device string, err error) {
	n := c.node
	number, err := n.lab.attach(file)
	if err != nil {
		return "", err
	}
	device = fmt.Sprintf("/dev/loop%d", number)
	// No udev makes devices in a container, and its /dev is new at each boot. This is done early then.
	config := fmt.Sprintf("/etc/tmpfiles.d/lab-loop%d.conf", number)
	line := fmt.Sprintf("b %s 0660 root disk - 7:%d\n", device, number)
	if err := n.WriteFile(ctx, config, []byte(line), 0o644); err != nil {
		return "", err
	}
	if _, off := n.current(); off == nil {
		if _, err := n.Exec(ctx, "systemd-tmpfiles", "--create", config); err != nil {
			return "", err
		}
	}
	return device, nil
}

// attach makes a loop device of a file and returns its number. The kernel detaches it when nobody has it open any more,
// neither this process nor a node. So none stays behind.
func (n *Nodes) attach(file *os.File) (int, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("attach loop device: %w", err)
	}
	defer control.Close()
	for {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return 0, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
		if err != nil {
			return 0, fmt.Errorf("attach loop device: %w", err)
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd())}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		copy(config.Info.File_name[:len(config.Info.File_name)-1], filepath.Base(file.Name()))
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if errors.Is(err, unix.EBUSY) {
			// Another was quicker.
			device.Close()
			continue
		}
		if err != nil {
			device.Close()
			return 0, fmt.Errorf("attach %s: %w", device.Name(), err)
		}
		n.mu.Lock()
		n.loops = append(n.loops, device)
		n.mu.Unlock()
		return number, nil
	}
}

// smallVarScript moves /var/lib/ceph to a file system on the device, now and at each boot. systemd waits for ever for the
// device of a mount unit when there is no udev, hence a service.
const smallVarScript = `set -e
mkfs.ext4 -q -m 0 "$1"
mount "$1" /mnt
cp -a /var/lib/ceph/. /mnt/
umount /mnt
cat >/etc/systemd/system/lab-small-var.service <<END
[Unit]
Description=Small /var/lib/ceph
DefaultDependencies=no
After=local-fs-pre.target systemd-tmpfiles-setup-dev.service
Before=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount $1 /var/lib/ceph
[Install]
RequiredBy=local-fs.target
END
systemctl --quiet enable --now lab-small-var.service`

// SmallVar makes /var/lib/ceph a file system of this size, with what was in the folder, so that it can get full. The
// node must run, and no daemon of Ceph's on it.
func (n *Node) SmallVar(ctx context.Context, sizeMiB int) error {
	device, err := n.disk(ctx, sizeMiB)
	if err == nil {
		_, err = n.Exec(ctx, "sh", "-c", smallVarScript, "lab-small-var", device)
	}
	if err != nil {
		return fmt.Errorf("make /var/lib/ceph of %s small: %w", n.Name, err)
	}
	return nil
}
