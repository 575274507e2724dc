package exporter

import (
	"context"
	"errors"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
)

// ImagePlacer says where an image has its data. rbd.Cluster is one.
type ImagePlacer interface {
	Place(ctx context.Context, fsid string, e rbd.Entry) (rbd.Placement, error)
}

var _ ImagePlacer = rbd.Cluster{}

// placePatience is how long one image may keep the others: its header may be on an OSD that hangs.
const placePatience = time.Second

// mappedImage is an image as it is mapped as a device.
type mappedImage struct{ device, fsid, pool, namespace, image, id string }

func mappedImageOf(m *loopback.Mapping) mappedImage {
	return mappedImage{m.Device, m.FSID, m.Pool, m.Namespace, m.Image, m.ImageID}
}

// readPlaces reads where images have their data of which the node cannot say it, and puts it in. What was read is kept
// while the image is mapped.
func (s *LoopbackShares) readPlaces(ctx context.Context, mappings []loopback.Mapping) error {
	known := make(map[mappedImage]rbd.Placement)
	var errs []error
	for i := range mappings {
		m := &mappings[i]
		key := mappedImageOf(m)
		if p, ok := s.placed[key]; ok {
			known[key] = p
		}
		if m.PoolID != 0 {
			continue
		}
		p, err := s.readPlace(ctx, m)
		switch {
		case err == nil:
			known[key] = p
		case !errors.Is(err, rbd.ErrOtherCluster):
			errs = append(errs, err)
		}
	}
	s.mu.Lock()
	s.placed = known
	s.mu.Unlock()
	for i := range mappings {
		s.place(&mappings[i])
	}
	return errors.Join(errs...)
}

func (s *LoopbackShares) readPlace(ctx context.Context, m *loopback.Mapping) (rbd.Placement, error) {
	ctx, cancel := context.WithTimeout(ctx, placePatience)
	defer cancel()
	image := ceph.Image{Pool: m.Pool, Namespace: m.Namespace, Name: m.Image}
	return s.images.Place(ctx, m.FSID, rbd.Entry{Image: image, ID: m.ImageID})
}

// place puts in where an image has its data, when that has been read; nothing when nobody reads it.
func (s *LoopbackShares) place(m *loopback.Mapping) {
	if s == nil || m.PoolID != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.placed[mappedImageOf(m)]; ok {
		m.Place(p.DataPool, p.Features.ObjectMap(), s.pools)
	}
}
