package exporter

import "github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"

// Images returns the RBD images that the guests of the last scrape have as disks, through librbd or krbd. Guests
// that have not answered yet are left out.
func (q *QEMU) Images() []ceph.Image {
	q.mu.Lock()
	guests := q.guests
	q.mu.Unlock()
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
