package loopback

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/procfile"
)

// mount is a mounted file system.
type mount struct {
	// number is the device's, as "252:0". btrfs and others have one of their own: then source names the device.
	number, source string
	point, fs      string
	readOnly       bool
}

// parseMountinfo takes /proc/PID/mountinfo: "36 35 252:0 / /srv rw,noatime shared:1 - ext4 /dev/rbd0 rw,errors=continue".
// Lines of another form are left out.
func parseMountinfo(text string) []mount {
	var mounts []mount
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(rest) < 3 {
			continue
		}
		mounts = append(mounts, mount{
			number: fields[2], point: procfile.Unescape(fields[4]), fs: rest[0], source: procfile.Unescape(rest[1]),
			readOnly: slices.Contains(strings.Split(rest[2], ","), "ro"),
		})
	}
	return mounts
}

// parseSwaps takes /proc/swaps and returns the devices and files.
func parseSwaps(text string) []string {
	var paths []string
	first := true
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if !first && len(fields) > 1 {
			paths = append(paths, strings.TrimSuffix(procfile.Unescape(fields[0]), " (deleted)"))
		}
		first = false
	}
	return paths
}

// kernelUses are the file systems and swap of the host.
type kernelUses struct {
	byNumber map[string][]mount
	byName   map[string][]mount
	// mounts are all, for the files that are swapped to.
	mounts []mount
	swaps  []string
	// elsewhere says of devices with a file system that is mounted, in whichever namespace, what that is.
	elsewhere map[string]string
}

// readKernelUses reads them. The mounts are those of the node's first process: the exporter may have a namespace of its own.
func (r *Reader) readKernelUses() (kernelUses, error) {
	u := kernelUses{byNumber: map[string][]mount{}, byName: map[string][]mount{}, elsewhere: r.superBlocks()}
	text, err := os.ReadFile(filepath.Join(r.opts.Procfs, "1", "mountinfo"))
	if err != nil {
		return u, explain("list mounts", err)
	}
	u.mounts = parseMountinfo(string(text))
	for _, m := range u.mounts {
		u.byNumber[m.number] = append(u.byNumber[m.number], m)
		if name, ok := strings.CutPrefix(m.source, "/dev/"); ok {
			u.byName[name] = append(u.byName[name], m)
		}
	}
	swaps, err := os.ReadFile(filepath.Join(r.opts.Procfs, "swaps"))
	if isAbsent(err) { // a kernel without swap
		return u, nil
	}
	if err != nil {
		return u, explain("list swap", err)
	}
	u.swaps = parseSwaps(string(swaps))
	return u, nil
}

// superBlocks returns the devices that file systems name in sysfs, and what is to be said of them. A btrfs has several, and is
// mounted by the name of one.
func (r *Reader) superBlocks() map[string]string {
	found := map[string]string{}
	for _, fs := range []string{"ext4", "xfs", "f2fs"} {
		entries, err := os.ReadDir(filepath.Join(r.opts.Sysfs, "fs", fs))
		if err != nil {
			continue // no such file system here
		}
		for _, e := range entries {
			found[e.Name()] = fs + ", mounted in another namespace"
		}
	}
	devices, _ := filepath.Glob(filepath.Join(r.opts.Sysfs, "fs", "btrfs", "*", "devices", "*")) // the pattern is a good one
	for _, d := range devices {
		found[filepath.Base(d)] = "btrfs, mounted by another name or in another namespace"
	}
	return found
}

// uses returns the uses of all devices of a stack.
func (u *kernelUses) uses(stack []stackDevice) []Use {
	uses := []Use{}
	for _, d := range stack {
		uses = append(uses, u.of(d)...)
	}
	return uses
}

// of returns the uses of one device of a stack. A file system that is mounted at several places is one use.
func (u *kernelUses) of(d stackDevice) []Use {
	var uses []Use
	mounts := u.mountsOf(d)
	if who, ok := u.elsewhere[d.name]; ok && len(mounts) == 0 {
		uses = append(uses, Use{Reason: Filesystem, Device: d.name, Who: who})
	}
	if len(mounts) > 0 {
		shown := max(0, slices.IndexFunc(mounts, func(m mount) bool { return !m.readOnly }))
		uses = append(uses, mounts[shown].use(d.name))
	}
	for _, swap := range u.swaps {
		name, isDevice := strings.CutPrefix(swap, "/dev/")
		switch {
		case isDevice && d.named(name):
			uses = append(uses, Use{Reason: Swap, Device: d.name, Who: "swap", Path: swap})
		case !isDevice && u.on(swap, mounts):
			uses = append(uses, Use{Reason: Swap, Device: d.name, Who: "swap file", Path: swap})
		}
	}
	return uses
}

func (u *kernelUses) mountsOf(d stackDevice) []mount {
	if mounts := u.byNumber[d.number]; d.number != "" && len(mounts) > 0 {
		return mounts
	}
	if mounts := u.byName[d.name]; len(mounts) > 0 {
		return mounts
	}
	if d.mapper == "" {
		return nil
	}
	return u.byName["mapper/"+d.mapper]
}

// on tells whether a file lies on one of the mounts.
func (u *kernelUses) on(file string, mounts []mount) bool {
	longest := ""
	for _, m := range u.mounts {
		if within(file, m.point) && len(m.point) >= len(longest) {
			longest = m.point
		}
	}
	return slices.ContainsFunc(mounts, func(m mount) bool { return m.point == longest })
}

func within(file, dir string) bool {
	return dir == "/" || strings.HasPrefix(file, dir+"/")
}

func (m mount) use(device string) Use {
	if m.readOnly {
		return Use{Reason: Idle, Device: device, Who: m.point + " (" + m.fs + ", read-only)", Path: m.point}
	}
	return Use{Reason: Filesystem, Device: device, Who: m.point + " (" + m.fs + ")", Path: m.point}
}
