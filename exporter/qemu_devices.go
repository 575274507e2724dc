package exporter

import "time"

// GuestDevice is what QEMU says of a block device of the host that a guest has as a disk.
type GuestDevice struct {
	Instance string
	// Cache is the mode, as in QEMU's option "cache".
	Cache string
}

// Devices returns the block devices of the host that the guests of the last scrape have as disks, by their names.
// Guests that have not answered yet are left out, and all are when the last scrape is two minutes ago.
func (q *QEMU) Devices() map[string]GuestDevice {
	q.mu.Lock()
	guests, found := q.guests, q.found
	q.mu.Unlock()
	if time.Since(found) > imagesAge {
		return nil
	}
	devices := make(map[string]GuestDevice)
	for _, g := range guests {
		g.mu.Lock()
		for i := range g.known {
			d := &g.known[i].device
			if name := d.Source.HostDevice(); name != "" {
				devices[name] = GuestDevice{Instance: g.Instance, Cache: d.Cache}
			}
		}
		g.mu.Unlock()
	}
	return devices
}
