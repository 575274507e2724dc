package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
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
	return v.monitor(ctx, []qmpCommand{
		{Execute: "qmp_capabilities"},
		{Execute: "blockdev-add", Arguments: map[string]any{
			"driver": "raw", "node-name": name, "discard": "unmap", "cache": map[string]bool{"direct": false, "no-flush": true},
			"file": map[string]string{"driver": "file", "filename": file},
		}},
		{Execute: "device_add", Arguments: map[string]any{"driver": "virtio-blk-pci", "id": name, "drive": name, "serial": name}},
	})
}

// qmpCommand is a command of QEMU's monitor.
type qmpCommand struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments,omitempty"`
}

// monitor has QEMU carry out commands, of which the first has to be qmp_capabilities.
func (v *virtualMachine) monitor(ctx context.Context, commands []qmpCommand) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", v.node.path("qmp"))
	if err != nil {
		return fmt.Errorf("reach QEMU: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answers := json.NewDecoder(conn)
	for _, command := range commands {
		if err := json.NewEncoder(conn).Encode(command); err != nil {
			return fmt.Errorf("ask QEMU: %w", err)
		}
		if err := waitReturn(answers); err != nil {
			return fmt.Errorf("%s: %w", command.Execute, err)
		}
	}
	return nil
}

// waitReturn reads up to the answer of a command: before it come the greeting and events.
func waitReturn(answers *json.Decoder) error {
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := answers.Decode(&answer); err != nil {
			return fmt.Errorf("read answer of QEMU: %w", err)
		}
		if answer.Error != nil {
			return fmt.Errorf("answer of QEMU: %s", answer.Error.Desc)
		}
		if answer.Return != nil {
			return nil
		}
	}
}
