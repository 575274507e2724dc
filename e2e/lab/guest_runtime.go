package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// writeRuntime writes the file in which Ganeti keeps how it started an instance: the command, the NICs, the
// hypervisor's parameters and the disks.
func writeRuntime(g *Guest, command []string) error {
	disks := []any{}
	for i, disk := range g.Disks {
		link := filepath.Join(g.RunDir, "instance-disks", fmt.Sprintf("%s:%d", g.Name, i))
		disks = append(disks, []any{ganetiDisk(disk, i), link, "rbd:" + disk.Pool + "/" + disk.Image})
	}
	params := map[string]any{
		"acpi": true, "boot_order": "disk", "disk_cache": "default", "disk_type": "paravirtual", "kvm_flag": "disabled",
		"kvm_path": command[0], "user_shutdown": true,
	}
	content, err := json.Marshal([]any{command, []any{}, params, disks})
	if err == nil {
		err = os.WriteFile(g.file("conf", "runtime"), content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write runtime file: %w", err)
	}
	return nil
}

// ganetiDisk returns a disk as Ganeti has it in its configuration.
func ganetiDisk(disk Disk, index int) map[string]any {
	return map[string]any{
		"dev_type":   "rbd",
		"logical_id": []string{"rbd", disk.Image},
		"children":   []any{},
		"nodes":      []any{},
		"iv_name":    "disk/" + strconv.Itoa(index),
		"size":       128,
		"mode":       "rw",
		"params":     map[string]any{"access": "userspace", "pool": disk.Pool},
		"hvinfo": map[string]any{
			"driver": "virtio-blk-pci", "id": disk.DeviceID(), "bus": "pci.0", "addr": fmt.Sprintf("%#x", 12+index),
		},
		"serial_no": 1,
		"uuid":      disk.UUID(),
		"ctime":     1795326052.210903,
		"mtime":     1795326052.2109015,
	}
}
