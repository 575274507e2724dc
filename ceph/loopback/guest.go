package loopback

import "slices"

// AddGuest puts in what QEMU says itself of a device that a guest has as a disk. It counts where processes cannot be
// looked at, and counts as all that there is: two who write to one disk would destroy it. Cache is the mode as in QEMU's
// option "cache".
func (m *Mapping) AddGuest(instance, cache string) {
	i := slices.Index(m.Unseen, PageCache)
	if i < 0 {
		return
	}
	m.Unseen = slices.Delete(m.Unseen, i, i+1)
	reason := PageCache
	if cache == "none" || cache == "directsync" {
		reason = Direct
	}
	m.Uses = append(m.Uses, Use{Reason: reason, Device: m.Device, Who: "QEMU of " + instance})
}
