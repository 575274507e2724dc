package kvm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// Runtime is what a runtime file says of an instance: how it was started. It may list disks that have been
// unplugged since: what the guest has is what QEMU says.
type Runtime struct {
	// DiskCache, DiskAIO and DiskDiscard are the hypervisor parameters disk_cache, disk_aio and disk_discard.
	DiskCache, DiskAIO, DiskDiscard string
	Disks                           []Disk
}

// Disk is one disk of an instance, as Ganeti knows it.
type Disk struct {
	// Index is the disk's number, as in "disk/0".
	Index int
	UUID  string
	// Size is in MiB.
	Size int64
	// Template is Ganeti's type of the disk, for example "rbd", "plain" or "drbd8".
	Template string
	// Pool and Image name the RBD image; both are empty for other templates.
	Pool, Image string
	// Access is "userspace" or "kernelspace" as it was configured; empty when the file does not say.
	Access string
	// DeviceID is the id that Ganeti gave the device in QEMU; empty in old files.
	DeviceID string
	// Link is where Ganeti links to the mapped device.
	Link string
	// URI is what QEMU was told to open in userspace mode, for example "rbd:POOL/IMAGE".
	URI string
}

// ParseRuntime reads a runtime file: [command, NICs, hypervisor parameters, [[disk, link, URI], ...]]. Whatever
// is missing or of another form is left empty.
func ParseRuntime(data []byte) (*Runtime, error) {
	var parser fastjson.Parser
	file, err := parser.ParseBytes(data)
	if err != nil {
		return nil, fmt.Errorf("parse runtime file: %w", err)
	}
	parts, err := file.Array()
	if err != nil {
		return nil, fmt.Errorf("parse runtime file: %w", err)
	}
	r := &Runtime{}
	if len(parts) > 2 {
		r.DiskCache = text(parts[2], "disk_cache")
		r.DiskAIO = text(parts[2], "disk_aio")
		r.DiskDiscard = text(parts[2], "disk_discard")
	}
	if len(parts) > 3 {
		for i, entry := range parts[3].GetArray() {
			r.Disks = append(r.Disks, parseDisk(i, entry.GetArray()))
		}
	}
	return r, nil
}

func text(v *fastjson.Value, keys ...string) string { return string(v.GetStringBytes(keys...)) }

// parseDisk reads [disk, link, URI], or [disk, link] as older releases write.
func parseDisk(position int, entry []*fastjson.Value) Disk {
	disk := Disk{Index: position}
	if len(entry) == 0 {
		return disk
	}
	v := entry[0]
	if index, err := strconv.Atoi(strings.TrimPrefix(text(v, "iv_name"), "disk/")); err == nil && index >= 0 {
		disk.Index = index
	}
	disk.UUID = text(v, "uuid")
	disk.Size = v.GetInt64("size")
	disk.Template = text(v, "dev_type")
	disk.Access = text(v, "params", "access")
	disk.DeviceID = text(v, "hvinfo", "id")
	if disk.Template == "rbd" {
		disk.Pool = text(v, "params", "pool")
		disk.Image = text(v, "logical_id", "1")
	}
	if len(entry) > 1 {
		disk.Link = text(entry[1])
	}
	if len(entry) > 2 {
		disk.URI = text(entry[2])
	}
	return disk
}

// Find returns the disk that QEMU knows by one of the given names.
func (r *Runtime) Find(names ...string) (Disk, bool) {
	for _, name := range names {
		for _, disk := range r.Disks {
			if disk.named(name) {
				return disk, true
			}
		}
	}
	return Disk{}, false
}

// ByUUID returns the disk with a UUID.
func (r *Runtime) ByUUID(uuid string) (Disk, bool) {
	for _, disk := range r.Disks {
		if disk.UUID == uuid {
			return disk, true
		}
	}
	return Disk{}, false
}

// named tells whether the disk has this name in QEMU: the id in the file or, where the file has none, what
// releases of Ganeti make of the UUID: "disk-f42e5100-476a-4674", "disk-f42e5100-476a-pci-6",
// "hotdisk-f42e5100-pci-6".
func (d Disk) named(name string) bool {
	if d.DeviceID != "" {
		return d.DeviceID == name
	}
	start, ok := strings.CutPrefix(strings.TrimPrefix(name, "hot"), "disk-")
	start, _, _ = strings.Cut(start, "-pci-")
	const firstGroup = 8
	return ok && len(start) >= firstGroup && strings.HasPrefix(d.UUID, start)
}
