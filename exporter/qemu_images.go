package exporter

import (
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// imagesAge is how old a scrape of the guests may be for their images to be exported: without the qemu collector
// in collect[] nobody would notice that a guest has gone.
const imagesAge = 2 * time.Minute

// Images returns the RBD images that the guests of the last scrape have as disks, through librbd or krbd. Guests
// that have not answered yet are left out, and all are when the last scrape is two minutes ago.
func (q *QEMU) Images() []ceph.Image {
	q.mu.Lock()
	guests, found := q.guests, q.found
	q.mu.Unlock()
	if time.Since(found) > imagesAge {
		return nil
	}
	var images []ceph.Image
	for _, g := range guests {
		g.mu.Lock()
		for i := range g.known {
			if s := &g.known[i].device.Source; s.Image != "" {
				images = append(images, ceph.Image{Pool: s.Pool, Namespace: s.Namespace, Name: s.Image})
			}
		}
		g.mu.Unlock()
	}
	return images
}
