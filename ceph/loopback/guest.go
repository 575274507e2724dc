package loopback

import "strings"

// AddGuest puts in what QEMU says itself of a device that a guest has as a disk: it counts where processes cannot be
// looked at. Cache is the mode as in QEMU's option "cache".
func (m *Mapping) AddGuest(instance, cache string) {
	if len(m.Unseen) == 0 {
		return
	}
	reason := PageCache
	if cache == "none" || cache == "directsync" {
		reason = Direct
	}
	m.Uses = append(m.Uses, Use{Reason: reason, Device: m.Device, Who: strings.TrimSpace("QEMU of " + instance)})
}
