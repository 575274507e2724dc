package kvm

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
)

// runtimeFile returns the content of a runtime file, in the shape that Ganeti gives it: the command, the NICs, the
// hypervisor's parameters, and for each disk what is known of it, its local device and its KVM device path.
func runtimeFile(argv []string, c *Config) ([]byte, error) {
	cache, discard := "default", "default"
	disks := make([]any, len(c.Drives))
	for i := range c.Drives {
		d := &c.Drives[i]
		if i == 0 {
			cache, discard = d.Cache, "ignore"
		}
		if d.Discard {
			discard = "unmap"
		}
		disks[i] = []any{d.runtime(i), d.Link, d.Path}
	}
	nics := make([]any, len(c.NICs))
	for i := range c.NICs {
		nics[i] = c.NICs[i].runtime()
	}
	params := map[string]any{
		"acpi": true, "boot_order": "disk", "disk_cache": cache, "disk_discard": discard, "disk_type": "paravirtual",
		"kvm_path": argv[0], "nic_type": "paravirtual", "user_shutdown": true,
	}
	return json.Marshal([]any{argv, nics, params, disks})
}

func (d *Drive) runtime(index int) map[string]any {
	fields := map[string]any{}
	for name, value := range maps.All(d.Origin) {
		fields[name] = value
	}
	fields["iv_name"] = "disk/" + strconv.Itoa(index)
	fields["size"] = d.SizeMiB
	fields["mode"] = "rw"
	fields["uuid"] = d.UUID
	fields["hvinfo"] = map[string]string{"driver": "virtio-blk-pci", "id": d.DeviceID()}
	return fields
}

func (n *NIC) runtime() map[string]any {
	return map[string]any{
		"mac": n.MAC, "uuid": n.UUID,
		"nicparams": map[string]string{"mode": n.Mode, "link": n.Bridge},
		"hvinfo":    map[string]string{"driver": "virtio-net-pci", "id": n.DeviceID()},
	}
}

// writeRuntime writes the runtime file, whole or not at all.
func (d Dir) writeRuntime(instance string, content []byte) error {
	path := d.RuntimeFile(instance)
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err := os.WriteFile(temp, content, 0o600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("write runtime file: %w", err)
	}
	return nil
}
