package guestdisk

import (
	"context"
	"fmt"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// Pool is a pool of a cluster: the cluster's fsid, and the number and name of the pool.
type Pool struct {
	FSID string
	ID   uint64
	Name string
	// MapID is the number of the pool that the image is named in, when that is another and has its object map, for which
	// writes wait. Else it is 0.
	MapID uint64
	// ParentID and ParentName are the pool that a clone reads from where it has no data of its own.
	ParentID   uint64
	ParentName string
}

// DataPool returns the pool that has the data of an image, or is to have those of one that does not exist. Its error is
// an *Error of CasePool when the cluster has no such pool.
// Similar to: ceph osd dump --format json
func (h *Host) DataPool(ctx context.Context, d ceph.Device) (Pool, error) {
	image, err := h.Image(ctx, d)
	if err != nil && !Is(err, CaseImage) {
		return Pool{}, err
	}
	name := d.Image.Pool
	if image.DataPool != "" {
		name = image.DataPool
	}
	dump, err := ask[struct {
		FSID  string `json:"fsid"`
		Pools []struct {
			ID   uint64 `json:"pool"`
			Name string `json:"pool_name"`
		} `json:"pools"`
	}](ctx, h, d, tool(d, "ceph", []string{"osd", "dump", "--format", "json"}))
	if err != nil {
		return Pool{}, fmt.Errorf("find the pool of image %s: %w", d.Image, err)
	}
	pool := Pool{FSID: dump.FSID, Name: name}
	for _, p := range dump.Pools {
		if p.Name == image.ParentPool {
			pool.ParentID, pool.ParentName = p.ID, p.Name
		}
		switch {
		case p.Name == name:
			pool.ID = p.ID
		case p.Name == d.Image.Pool && slices.Contains(image.Features, "object-map"):
			pool.MapID = p.ID
		}
	}
	if pool.ID != 0 {
		return pool, nil
	}
	return Pool{}, &Error{CasePool, fmt.Sprintf("there is no pool %s", name), "see \"cephctl pool list\""}
}

// fsid returns that of the cluster of a device.
// Similar to: ceph fsid --format json
func (h *Host) fsid(ctx context.Context, d ceph.Device) (string, error) {
	answer, err := ask[struct {
		FSID string `json:"fsid"`
	}](ctx, h, d, tool(d, "ceph", []string{"fsid", "--format", "json"}))
	if err != nil {
		return "", fmt.Errorf("tell the cluster of image %s from others: %w", d.Image, err)
	}
	return answer.FSID, nil
}
