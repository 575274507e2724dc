package guestdisk

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/krbd"
)

// record is what a host remembers, until it boots, of a block device that it has made of an image: people and other programs
// map images, too, and theirs are left alone. It is there from right before the image is mapped, and without a device as long
// as that is not known: a killed process may have got so far, or not, and somebody else may have mapped the image since.
type record struct {
	Image string `json:"image"`
	// Disk is that of the ceph.Device: it tells the disk from others whose images have this name, in other clusters, also when the
	// disk has another ceph.conf by now than the one by which the record is named.
	Disk string `json:"disk,omitempty"`
	// Device and Client are those of the krbd.Mapping.
	Device string `json:"device,omitempty"`
	Client string `json:"client,omitempty"`
	// Before are the devices that images of this name were mapped as before.
	Before []string `json:"before,omitempty"`
}

// recordFile is where the record about an image of a cluster is, by the ceph.conf of that. Names of images have characters that
// those of files can't have.
func (h *Host) recordFile(d ceph.Device) string {
	return h.recordFiles(d, fmt.Sprintf("%x", sha256.Sum256([]byte(d.Conf))))
}

// recordFiles is the pattern of where the records about images of this name are.
func (h *Host) recordFiles(d ceph.Device, conf string) string {
	return filepath.Join(h.Run, fmt.Sprintf("%x-%s.json", sha256.Sum256([]byte(d.Image.String())), conf))
}

// records returns the records about a device, by their files.
func (h *Host) records(d ceph.Device) (map[string]record, error) {
	files, err := filepath.Glob(h.recordFiles(d, "*"))
	if err != nil {
		return nil, fmt.Errorf("tell who has mapped image %s: %w", d.Image, err)
	}
	found := map[string]record{}
	for _, file := range files {
		var r record
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is forgotten just now
		}
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("tell who has mapped image %s: %w", d.Image, err)
		}
		if file == h.recordFile(d) || r.Disk != "" && r.Disk == d.Disk {
			found[file] = r
		}
	}
	return found, nil
}

// isOwn tells whether a block device is what this host has made of an image.
func (h *Host) isOwn(d ceph.Device, m *krbd.Mapping) (bool, error) {
	records, err := h.records(d)
	for _, r := range records {
		if r.Device == "" && !slices.Contains(r.Before, m.Device) && h.hasOwnClient(m) || r.Device == m.Device && r.Client == m.ClientAddr {
			return true, err
		}
	}
	return false, err
}

// hasOwnClient tells whether a block device was mapped with a client of its own, as Map asks for, and hardly anybody by hand. The
// kernel repeats what rbd has asked it for, which may have a key: nothing of it goes further than this.
func (h *Host) hasOwnClient(m *krbd.Mapping) bool {
	asked, err := os.ReadFile(filepath.Join(h.Sysfs, "bus", "rbd", "devices", strings.TrimPrefix(m.Device, "rbd"), "config_info"))
	words := strings.Fields(string(asked)) // the mons, the options, the pool, the image and the snapshot
	return err == nil && len(words) > 1 && slices.Contains(strings.Split(words[1], ","), ownClient)
}

// remember writes the record about an image.
func (h *Host) remember(d ceph.Device, r record) error {
	r.Image, r.Disk = d.Image.String(), d.Disk
	data, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(h.Run, 0o755)
	}
	part := h.recordFile(d) + ".part"
	if err == nil {
		err = os.WriteFile(part, data, 0o600)
	}
	if err == nil {
		err = os.Rename(part, h.recordFile(d))
	}
	if err != nil {
		return fmt.Errorf("remember that image %s is mapped: %w", d.Image, err)
	}
	return nil
}

// forget removes the records about a device.
func (h *Host) forget(d ceph.Device) error {
	records, err := h.records(d)
	if err != nil {
		return err
	}
	for file := range records {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget that image %s was mapped: %w", d.Image, err)
		}
	}
	return nil
}
