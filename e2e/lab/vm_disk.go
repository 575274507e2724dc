package lab

import (
	"context"
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
	// Its kernel finds it, and then udev.
	_, err = v.node.Exec(ctx, "sh", "-c", `until [ -e "$1" ]; do sleep 0.1; done; udevadm settle`, "lab-plug", device)
	return device, err
}

// diskName is the name in QEMU and the serial number of a disk, of which the first is 0.
func diskName(number int) string { return "disk" + strconv.Itoa(number) }

// plugNow plugs a disk in.
func (v *virtualMachine) plugNow(ctx context.Context, number int, file string) error {
	name := diskName(number)
	return qmp(ctx, v.node.path("qmp"),
		qmpCommand{Execute: "blockdev-add", Arguments: map[string]any{
			"driver": "raw", "node-name": name, "discard": "unmap", "cache": map[string]bool{"direct": false, "no-flush": true},
			"file": map[string]string{"driver": "file", "filename": file},
		}},
		qmpCommand{Execute: "device_add", Arguments: map[string]any{
			"driver": "virtio-blk-pci", "id": name, "drive": name, "serial": name,
		}})
}
