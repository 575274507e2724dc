package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// plug adds a virtio disk, also while the virtual machine runs, and returns the name that it has at each boot.
func (v *virtualMachine) plug(ctx context.Context, file *os.File) (device string, err error) {
	v.node.mu.Lock()
	v.disks = append(v.disks, file.Name())
	number := len(v.disks)
	on := v.node.machine != nil
	v.node.mu.Unlock()
	device = "/dev/disk/by-id/virtio-" + diskName(number)
	if !on {
		return device, nil
	}
	if err := v.plugNow(ctx, number, file.Name()); err != nil {
		return "", err
	}
	return device, v.waitDisk(ctx, device)
}

// waitDisk returns when the machine's kernel has found a disk, and then udev.
func (v *virtualMachine) waitDisk(ctx context.Context, device string) error {
	_, err := v.node.Exec(ctx, "sh", "-c", `until [ -e "$1" ]; do sleep 0.1; done; udevadm settle`, "lab-plug", device)
	return err
}

// diskName is the name in QEMU and the serial number of a disk, of which the first is 0.
func diskName(number int) string { return "disk" + strconv.Itoa(number) }

// plugNow plugs a disk in.
func (v *virtualMachine) plugNow(ctx context.Context, number int, file string) error {
	return v.plugBlock(ctx, diskName(number), map[string]any{
		"driver": "raw", "discard": "unmap", "cache": map[string]bool{"direct": false, "no-flush": true},
		"file": map[string]string{"driver": "file", "filename": file},
	})
}

// plugBlock plugs a block device of QEMU's in, as a virtio disk whose serial number is the name.
func (v *virtualMachine) plugBlock(ctx context.Context, name string, block map[string]any) error {
	block["node-name"] = name
	return qmp(ctx, v.node.path("qmp"),
		qmpCommand{Execute: "blockdev-add", Arguments: block},
		qmpCommand{Execute: "device_add", Arguments: map[string]any{
			"driver": "virtio-blk-pci", "id": name, "drive": name, "serial": name,
		}})
}

// rbdDiskName is the name of the disk that RBDDisk plugs in.
const rbdDiskName = "rbd"

// RBDDisk plugs an RBD image into a virtual machine that runs, and returns its device there. QEMU opens the image through
// librbd, past all caches, as a user whose keyring the file conf, a ceph.conf, names. It is gone when the machine is switched off.
func (n *Node) RBDDisk(ctx context.Context, conf, user, pool, image string) (device string, err error) {
	vm, ok := n.body.(*virtualMachine)
	if !ok {
		return "", fmt.Errorf("add image to %s: %w", n.Name, errors.ErrUnsupported)
	}
	err = vm.plugBlock(ctx, rbdDiskName, map[string]any{
		"driver": "rbd", "conf": conf, "user": user, "pool": pool, "image": image, "cache": map[string]bool{"direct": true},
	})
	device = "/dev/disk/by-id/virtio-" + rbdDiskName
	if err == nil {
		err = vm.waitDisk(ctx, device)
	}
	if err != nil {
		return "", fmt.Errorf("add image %s/%s to %s: %w", pool, image, n.Name, err)
	}
	return device, nil
}
