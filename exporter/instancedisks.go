package exporter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// instanceDisk is a disk of a Ganeti instance: its index, or its UUID where Ganeti names its link so.
type instanceDisk struct {
	instance, disk string
}

// instanceDisks reads the links that Ganeti keeps for the disks of its instances, <run>/instance-disks/
// <instance>:<disk>, and returns them by the name of the block device that they point to, for example rbd0.
// There are none on a node without Ganeti.
func instanceDisks(ganetiRun string) (map[string]instanceDisk, error) {
	dir := filepath.Join(ganetiRun, "instance-disks")
	links, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list disks of instances: %w", err)
	}
	disks := make(map[string]instanceDisk)
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
func parseDiskLink(name string) (instanceDisk, bool) {
	i := strings.LastIndexByte(name, ':')
	if i <= 0 || i == len(name)-1 {
		return instanceDisk{}, false
	}
	return instanceDisk{instance: name[:i], disk: name[i+1:]}, true
}

// before tells which of two links to one device counts: the one with an index, as that is what admins know.
func (d instanceDisk) before(other instanceDisk) bool {
	_, err := strconv.Atoi(d.disk)
	_, otherErr := strconv.Atoi(other.disk)
	return err == nil && otherErr != nil
}
