package guestdisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/krbd"
)

// CheckKernel returns an error of CaseKernel when the kernel of this host can't map images.
func (h *Host) CheckKernel() error {
	if _, err := os.Stat(filepath.Join(h.Sysfs, "bus", "rbd")); err == nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(h.Sysfs, "module", "rbd")); err == nil {
		return nil
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	for _, name := range []string{"rbd.ko", "rbd.ko.xz", "rbd.ko.gz", "rbd.ko.zst"} {
		if _, err := os.Stat(filepath.Join("/lib/modules", strings.TrimSpace(string(release)), "kernel/drivers/block", name)); err == nil {
			return nil // rbd loads it
		}
	}
	return &Error{
		CaseKernel, "the kernel of this host has no module rbd, which maps images as block devices",
		"use the disk parameter access=userspace and leave out --map, or boot a kernel that has it",
	}
}

// Mapping returns the mapping of an image, or nil when there is none.
func (h *Host) Mapping(ctx context.Context, d ceph.Device) (*krbd.Mapping, error) {
	mappings, err := krbd.Mappings(ctx, h.Sysfs)
	if errors.Is(err, krbd.ErrNoModule) {
		return nil, nil
	}
	for i, m := range mappings {
		if m.Pool == d.Image.Pool && m.Namespace == d.Image.Namespace && m.Image == d.Image.Name && m.Snapshot == "" {
			return &mappings[i], nil
		}
	}
	return nil, err
}

// MapCommand is the command that maps an image.
func MapCommand(d ceph.Device) []string { return RBD(d, "device", "map", d.Image.String()) }

// Map maps an image as a block device, unless it is so already, and returns the path of the device.
func (h *Host) Map(ctx context.Context, d ceph.Device) (string, error) {
	if err := h.CheckKernel(); err != nil {
		return "", err
	}
	if m, err := h.Mapping(ctx, d); err != nil || m != nil {
		if err != nil {
			return "", err
		}
		return "/dev/" + m.Device, nil
	}
	out, err := h.run(ctx, d, MapCommand(d))
	if err != nil {
		return "", fmt.Errorf("map image %s: %w", d.Image, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Unmap takes the block device of an image away, if there is one.
func (h *Host) Unmap(ctx context.Context, d ceph.Device) error {
	m, err := h.Mapping(ctx, d)
	if err != nil || m == nil {
		return err
	}
	if _, err := h.run(ctx, d, RBD(d, "device", "unmap", "/dev/"+m.Device)); err != nil {
		return fmt.Errorf("unmap image %s: %w", d.Image, err)
	}
	return nil
}
