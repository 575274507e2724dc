package guestdisk

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// Image is what there is of an image.
type Image struct {
	SizeBytes int64
	// DataPool is the pool that has its data, when that is not its own.
	DataPool string
	// ParentPool is the pool of the image that it still reads from, when it is a clone.
	ParentPool string
	// Features are the names of its features.
	Features []string
	header   string
}

// Image looks at an image.
// Similar to: rbd info --format json
func (h *Host) Image(ctx context.Context, d ceph.Device) (Image, error) {
	info, err := ask[struct {
		ID       string   `json:"id"`
		Size     int64    `json:"size"`
		Format   int      `json:"format"`
		DataPool string   `json:"data_pool"`
		Features []string `json:"features"`
		Parent   struct {
			Pool    string `json:"pool"`
			Overlap uint64 `json:"overlap"`
		} `json:"parent"`
	}](ctx, h, d, RBD(d, "info", "--format", "json", d.Image.String()))
	image := Image{SizeBytes: info.Size, DataPool: info.DataPool, Features: info.Features, header: "rbd_header." + info.ID}
	if info.Parent.Overlap > 0 {
		image.ParentPool = info.Parent.Pool
	}
	if info.Format == 1 {
		image.header = d.Image.Name + ".rbd"
	}
	return image, err
}

// CreateCommand is the command that makes an image.
func CreateCommand(d ceph.Device, size int64) []string {
	return RBD(d, "create", "--size", strconv.FormatInt(size, 10)+"B", d.Image.String())
}

// Create makes an image of a number of bytes.
func (h *Host) Create(ctx context.Context, d ceph.Device, size int64) error {
	if _, err := h.run(ctx, d, CreateCommand(d, size)); err != nil {
		return fmt.Errorf("make image %s: %w", d.Image, err)
	}
	return nil
}

// RemoveCommand is the command that removes an image.
func RemoveCommand(d ceph.Device) []string {
	return RBD(d, "remove", "--no-progress", d.Image.String())
}

// Remove removes an image with all that is in it. One that is gone already is removed.
func (h *Host) Remove(ctx context.Context, d ceph.Device) error {
	if _, err := h.run(ctx, d, RemoveCommand(d)); err != nil && !Is(err, CaseImage) {
		return fmt.Errorf("remove image %s: %w", d.Image, err)
	}
	return nil
}

// Watchers returns the addresses of the clients that have an image open for writing.
// Similar to: rbd status --format json
func (h *Host) Watchers(ctx context.Context, d ceph.Device) ([]string, error) {
	status, err := ask[struct {
		Watchers []struct {
			Address string `json:"address"`
		} `json:"watchers"`
	}](ctx, h, d, RBD(d, "status", "--format", "json", d.Image.String()))
	if err != nil {
		return nil, fmt.Errorf("ask who has image %s open: %w", d.Image, err)
	}
	addresses := make([]string, 0, len(status.Watchers))
	for _, w := range status.Watchers {
		addresses = append(addresses, w.Address)
	}
	return addresses, nil
}
