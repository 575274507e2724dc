package loopback

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stackDevice is a mapped device, or one that lies on it: a partition, a logical volume, a RAID.
type stackDevice struct {
	name   string
	number string // as "252:0", empty when it is not known
	mapper string // the name that the device mapper has for it
}

// named tells whether the device has this name below /dev.
func (d stackDevice) named(name string) bool {
	return name == d.name || d.mapper != "" && name == "mapper/"+d.mapper
}

// maxStack ends the search in a tree of sysfs that is broken. Real ones have a few.
const maxStack = 64

// loops returns the loop devices that lie on other devices, by what they lie on as below /dev. The kernel does not count
// them as holders, and no process has their device open.
func (r *Reader) loops() map[string][]string {
	on := map[string][]string{}
	files, _ := filepath.Glob(filepath.Join(r.opts.Sysfs, "block", "loop*", "loop", "backing_file")) // the pattern is a good one
	for _, file := range files {
		path, err := r.small(file)
		if name, isDevice := strings.CutPrefix(path, "/dev/"); err == nil && isDevice {
			on[name] = append(on[name], filepath.Base(filepath.Dir(filepath.Dir(file))))
		}
	}
	return on
}

// stack returns a device and all that lie on it. Devices that vanish meanwhile are left out.
func (r *Reader) stack(device string, loops map[string][]string) ([]stackDevice, error) {
	found := []stackDevice{r.describe(device, "")}
	seen := map[string]bool{device: true}
	paths := []string{filepath.Join(r.opts.Sysfs, "block", device)}
	for i := 0; i < len(paths) && len(found) < maxStack; i++ {
		entries, err := os.ReadDir(paths[i])
		if gone(err) {
			continue
		}
		if err != nil {
			return found, explain("read "+found[i].name, err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), found[i].name) || seen[e.Name()] {
				continue // partitions have the name of their disk at the beginning
			}
			seen[e.Name()] = true
			found = append(found, r.describe(e.Name(), found[i].name))
			paths = append(paths, filepath.Join(paths[i], e.Name()))
		}
		holders, err := os.ReadDir(filepath.Join(paths[i], "holders"))
		if err != nil && !gone(err) {
			return found, explain("read holders of "+found[i].name, err)
		}
		names := slices.Concat(loops[found[i].name], loops["mapper/"+found[i].mapper])
		for _, h := range holders {
			names = append(names, h.Name())
		}
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				found = append(found, r.describe(name, ""))
				paths = append(paths, filepath.Join(r.opts.Sysfs, "block", name))
			}
		}
	}
	return found, nil
}

// describe reads the numbers of a device, of a partition below its disk.
func (r *Reader) describe(name, disk string) stackDevice {
	d := stackDevice{name: name}
	dir := filepath.Join(r.opts.Sysfs, "block", disk, name)
	if number, err := r.small(dir, "dev"); err == nil {
		d.number = number
	}
	if strings.HasPrefix(name, "dm-") {
		if mapper, err := r.small(dir, "dm", "name"); err == nil {
			d.mapper = mapper
		}
	}
	return d
}
