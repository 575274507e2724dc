package kvm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// DiskLink is a disk of a Ganeti instance.
type DiskLink struct {
	Instance string
	// Disk is its index, or its UUID where Ganeti names its link so.
	Disk string
}

// DiskLinks reads the links that Ganeti keeps for the disks of its instances, <run>/instance-disks/
// <instance>:<disk>, and returns them by the name of the block device that they point to, for example rbd0.
// There are none on a node without Ganeti.
func DiskLinks(ganetiRun string) (map[string]DiskLink, error) {
	dir := filepath.Join(ganetiRun, "instance-disks")
	links, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list disks of instances: %w", err)
	}
	disks := make(map[string]DiskLink)
	for _, l := range links {
		d, ok := parseDiskLink(l.Name())
		if !ok {
			continue
		}
		target, err := os.Readlink(filepath.Join(dir, l.Name()))
		if err != nil {
			continue // no link, or gone since
		}
		device := filepath.Base(target)
		if old, taken := disks[device]; !taken || d.before(old) {
			disks[device] = d
		}
	}
	return disks, nil
}

// parseDiskLink splits the name of a link at its last colon.
func parseDiskLink(name string) (DiskLink, bool) {
	i := strings.LastIndexByte(name, ':')
	if i <= 0 || i == len(name)-1 {
		return DiskLink{}, false
	}
	return DiskLink{Instance: name[:i], Disk: name[i+1:]}, true
}

// before tells which of two links to one device counts: the one with an index, as that is what admins know.
func (d DiskLink) before(other DiskLink) bool {
	_, err := strconv.Atoi(d.Disk)
	_, otherErr := strconv.Atoi(other.Disk)
	return err == nil && otherErr != nil
}
