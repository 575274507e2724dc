package guestdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/krbd"
)

// CheckKernel returns an error of CaseKernel when the kernel of this host can't map images, and of CaseName when it can't
// map one of this name.
func (h *Host) CheckKernel(d ceph.Device) error {
	if strings.ContainsFunc(d.Image.String(), unicode.IsSpace) {
		return &Error{
			CaseName, fmt.Sprintf("the kernel can't map image %q, which has a space in its name", d.Image),
			"use the disk parameter access=userspace and leave out --map, or give it another name: rbd rename",
		}
	}
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

// CheckFeatures returns an error of CaseFeatures when the kernel of this host does not know a feature that an image has. As
// long as the module is not loaded nobody can tell, and Map does.
func (h *Host) CheckFeatures(ctx context.Context, d ceph.Device) error {
	text, err := os.ReadFile(filepath.Join(h.Sysfs, "bus", "rbd", "supported_features"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // or a kernel before 4.11
	}
	if err != nil {
		return fmt.Errorf("ask the kernel which features of images it knows: %w", err)
	}
	known, err := strconv.ParseUint(strings.TrimSpace(string(text)), 0, 64)
	if err != nil {
		return fmt.Errorf("ask the kernel which features of images it knows: %w", err)
	}
	image, err := h.Image(ctx, d)
	if err != nil {
		return err
	}
	features, err := ceph.ParseFeatures(image.Features)
	lacks := features &^ ceph.Features(known)
	if err != nil || lacks == 0 {
		return err
	}
	return &Error{
		CaseFeatures, fmt.Sprintf("the kernel of this host does not know features of image %s: %s", d.Image, lacks),
		"use the disk parameter access=userspace and leave out --map, or while nobody has it open: rbd feature disable " +
			d.Image.String() + " " + strings.ReplaceAll(lacks.String(), ",", " "),
	}
}

// Mapping returns the mapping of an image, or nil when there is none, and whether this host has made it by Map. One that it has
// made comes before others. What another cluster has under the same name is another image.
func (h *Host) Mapping(ctx context.Context, d ceph.Device) (m *krbd.Mapping, own bool, err error) {
	if m, err = h.ownMapping(ctx, d); err != nil || m != nil {
		return m, m != nil, err
	}
	named, err := h.named(ctx, d)
	if err != nil || len(named) == 0 {
		return nil, false, err
	}
	fsid, err := h.fsid(ctx, d)
	if err != nil {
		return nil, false, err
	}
	for i := range named {
		if named[i].FSID == fsid || named[i].FSID == "" { // a kernel before 4.10
			return &named[i], false, nil
		}
	}
	return nil, false, nil
}

// ownMapping returns the mapping of an image that this host has made, or nil. It does not ask the cluster.
func (h *Host) ownMapping(ctx context.Context, d ceph.Device) (*krbd.Mapping, error) {
	named, err := h.named(ctx, d)
	for i := range named {
		if own, err := h.isOwn(d, &named[i]); err != nil || own {
			return &named[i], err
		}
	}
	return nil, err
}

// named returns the mappings of images that have the name of a device's, in whatever cluster.
func (h *Host) named(ctx context.Context, d ceph.Device) ([]krbd.Mapping, error) {
	mappings, err := krbd.Mappings(ctx, h.Sysfs)
	if errors.Is(err, krbd.ErrNoModule) {
		return nil, nil
	}
	named := slices.DeleteFunc(mappings, func(m krbd.Mapping) bool {
		return m.Pool != d.Image.Pool || m.Namespace != d.Image.Namespace || m.Image != d.Image.Name || m.Snapshot != ""
	})
	if len(named) > 0 {
		return named, nil
	}
	return nil, err
}

// CheckForeign returns an error of CaseForeign when an image is mapped here, but not by this host's Map.
func (h *Host) CheckForeign(ctx context.Context, d ceph.Device) error {
	m, own, err := h.Mapping(ctx, d)
	if err != nil || m == nil || own {
		return err
	}
	return foreign(d, m)
}

func foreign(d ceph.Device, m *krbd.Mapping) error {
	return &Error{
		CaseForeign, fmt.Sprintf("image %s is mapped as /dev/%s here, and not by cephctl", d.Image, m.Device),
		"see who has it by \"lsblk /dev/" + m.Device + "\", and unmap it: rbd device unmap /dev/" + m.Device,
	}
}

// ownClient is the option by which a block device gets a client of its own.
const ownClient = "noshare"

// MapCommand is the command that maps an image. Each block device gets a client of its own, so that one can be kept out of
// the cluster without all others of its node.
func MapCommand(d ceph.Device) []string {
	return RBD(d, "device", "map", "--options", ownClient, d.Image.String())
}

// Map maps an image as a block device, unless it has done so already, and returns the path of the device. Its error is of
// CaseForeign when somebody else has.
func (h *Host) Map(ctx context.Context, d ceph.Device) (string, error) {
	if err := h.CheckKernel(d); err != nil {
		return "", err
	}
	m, own, err := h.Mapping(ctx, d)
	if err != nil {
		return "", err
	}
	if m != nil {
		if !own {
			return "", foreign(d, m)
		}
		if fenced, err := h.fenced(ctx, d, m); err != nil || !fenced {
			return "/dev/" + m.Device, err
		}
		if err := h.Unmap(ctx, d); err != nil {
			return "", err
		}
	}
	if err := h.announce(ctx, d); err != nil {
		return "", err
	}
	out, err := h.run(ctx, d, MapCommand(d))
	if err != nil {
		if why := h.CheckFeatures(ctx, d); Is(why, CaseFeatures) { // now that the module is loaded
			return "", why
		}
		return "", fmt.Errorf("map image %s: %w", d.Image, err)
	}
	path := strings.TrimSpace(string(out))
	return path, h.noteMapping(ctx, d, strings.TrimPrefix(path, "/dev/"))
}

// announce remembers that an image is about to be mapped.
func (h *Host) announce(ctx context.Context, d ceph.Device) error {
	var r record
	named, err := h.named(ctx, d)
	if err != nil {
		return err
	}
	for i := range named {
		r.Before = append(r.Before, named[i].Device)
	}
	return h.remember(d, r)
}

// noteMapping remembers the block device that an image was mapped as.
func (h *Host) noteMapping(ctx context.Context, d ceph.Device, device string) error {
	named, err := h.named(ctx, d)
	for i := range named {
		if named[i].Device == device {
			return h.remember(d, record{Device: device, Client: named[i].ClientAddr})
		}
	}
	return err
}

// fenced tells whether the client behind a mapping was kept out of the cluster, which forgets that it has the image open.
// Such a block device never does anything again but to fail.
func (h *Host) fenced(ctx context.Context, d ceph.Device, m *krbd.Mapping) (bool, error) {
	if m.ClientAddr == "" { // a kernel before 4.10
		return false, nil
	}
	watchers, err := h.Watchers(ctx, d)
	return err == nil && !slices.Contains(watchers, m.ClientAddr), err
}

// InUse returns an error of CaseBusy when a file system, swap or another block device is on the one that an image is mapped as
// here. Programs that have it open are not seen.
func (h *Host) InUse(ctx context.Context, d ceph.Device) error {
	m, _, err := h.Mapping(ctx, d)
	if err != nil || m == nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(h.Dev, m.Device), os.O_RDONLY|syscall.O_EXCL, 0)
	if errors.Is(err, syscall.EBUSY) {
		return busy(d, m)
	}
	if err == nil {
		f.Close()
	}
	return nil // who has it otherwise is told by who opens it
}

// unmapTimeout is what the kernel has to write all that is left. When its client was kept out, it tries for some time.
const unmapTimeout = time.Minute

func busy(d ceph.Device, m *krbd.Mapping) error {
	return &Error{
		CaseBusy, fmt.Sprintf("image %s is mapped as /dev/%s here, which is in use", d.Image, m.Device),
		"see who has it by \"lsblk /dev/" + m.Device + "\", and unmount it",
	}
}

// Unmap takes the block device away that Map has made of an image, if there is one. Its error is of CaseBusy when somebody
// uses it.
func (h *Host) Unmap(ctx context.Context, d ceph.Device) error {
	m, err := h.ownMapping(ctx, d)
	if err != nil {
		return err
	}
	if m == nil {
		return h.forget(d)
	}
	patient := *h
	patient.Timeout = max(h.Timeout, unmapTimeout)
	by := d
	if _, err := os.Stat(d.Conf); errors.Is(err, fs.ErrNotExist) {
		by.Conf = "" // the kernel needs none for this, but rbd would miss the one that is named
	}
	if _, err := patient.run(ctx, d, RBD(by, "device", "unmap", "/dev/"+m.Device)); err != nil {
		if strings.Contains(err.Error(), "(16) Device or resource busy") {
			return busy(d, m)
		}
		return fmt.Errorf("unmap image %s: %w", d.Image, err)
	}
	return h.forget(d)
}
