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
	// Device and Client are those of the krbd.Mapping.
	Device string `json:"device,omitempty"`
	Client string `json:"client,omitempty"`
	// Before are the devices that images of this name were mapped as before.
	Before []string `json:"before,omitempty"`
}

// recordFile is where the record about an image is. Names of images have characters that those of files can't have.
func (h *Host) recordFile(d ceph.Device) string {
	return filepath.Join(h.Run, fmt.Sprintf("%x.json", sha256.Sum256([]byte(d.Conf+"\x00"+d.Image.String()))))
}

// isOwn tells whether a block device is what this host has made of an image.
func (h *Host) isOwn(d ceph.Device, m *krbd.Mapping) (bool, error) {
	data, err := os.ReadFile(h.recordFile(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var r record
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return false, fmt.Errorf("tell who has mapped image %s: %w", d.Image, err)
	}
	if r.Device == "" {
		return !slices.Contains(r.Before, m.Device) && h.hasOwnClient(m), nil
	}
	return r.Device == m.Device && r.Client == m.ClientAddr, nil
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
	r.Image = d.Image.String()
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

// forget removes the record about an image.
func (h *Host) forget(d ceph.Device) error {
	if err := os.Remove(h.recordFile(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget that image %s was mapped: %w", d.Image, err)
	}
	return nil
}
