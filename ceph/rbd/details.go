package rbd

import (
	"context"
	"errors"
	"fmt"

	goceph "github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// Details are what an image's header says.
type Details struct {
	SizeBytes uint64
	Features  ceph.Features
	// Snapshots counts those in the trash too, which clones still need.
	Snapshots int
	// Watchers are the clients that have the image open for writing: QEMU, krbd, rbd-mirror.
	Watchers int
	// Parent is nil for an image that is no clone.
	Parent *Parent
}

// Parent is the snapshot that an image is a clone of.
type Parent struct {
	ceph.Image
	Snapshot string
}

// Read opens an image, reads its header and closes it. It costs the OSDs a dozen operations and this process about
// 4 ms of CPU. One image of a pool is read at a time. It returns ErrGone for an image that was deleted meanwhile.
// Similar to: rbd info, rbd status
func (c Cluster) Read(ctx context.Context, e Entry) (Details, error) {
	return inNamespace(ctx, c.Conn, "read images of "+e.Pool, e.Pool, e.Namespace, func(ioctx *goceph.IOContext) (Details, error) {
		image, err := open(ioctx, e)
		if err != nil {
			return Details{}, fmt.Errorf("open %s: %w", e.Image, err)
		}
		defer image.Close()
		d, err := details(image)
		if err != nil {
			return Details{}, fmt.Errorf("read %s: %w", e.Image, err)
		}
		return d, nil
	})
}

// open opens by id where there is one, so that it is this image even if it has a new name or its name a new image.
func open(ioctx *goceph.IOContext, e Entry) (*librbd.Image, error) {
	if e.ID == "" {
		return librbd.OpenImageReadOnly(ioctx, e.Name, librbd.NoSnapshot)
	}
	return librbd.OpenImageByIdReadOnly(ioctx, e.ID, librbd.NoSnapshot)
}

func details(image *librbd.Image) (Details, error) {
	var d Details
	var err error
	if d.SizeBytes, err = image.GetSize(); err != nil {
		return d, fmt.Errorf("get size: %w", err)
	}
	features, err := image.GetFeatures()
	if err != nil {
		return d, fmt.Errorf("get features: %w", err)
	}
	d.Features = ceph.Features(features)
	snapshots, err := image.GetSnapshotNames()
	if err != nil {
		return d, fmt.Errorf("list snapshots: %w", err)
	}
	d.Snapshots = len(snapshots)
	watchers, err := image.ListWatchers()
	if err != nil {
		return d, fmt.Errorf("list watchers: %w", err)
	}
	d.Watchers = len(watchers)
	d.Parent, err = parent(image)
	return d, err
}

func parent(image *librbd.Image) (*Parent, error) {
	p, err := image.GetParent()
	if errors.Is(err, librbd.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get parent: %w", err)
	}
	return &Parent{
		Image:    ceph.Image{Pool: p.Image.PoolName, Namespace: p.Image.PoolNamespace, Name: p.Image.ImageName},
		Snapshot: p.Snap.SnapName,
	}, nil
}
