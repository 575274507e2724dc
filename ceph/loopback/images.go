package loopback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/krbd"
)

// image is what is mapped as a device. It cannot change while the device's folder in sysfs is the same.
type image struct {
	Mapping
	folder uint64 // inode; for rbd-nbd, its process
	client string // in debugfs
	sealed bool   // takes no writes, whatever its device says
}

// mappings lists what is mapped now, krbd first, by the numbers of the devices.
func (r *Reader) mappings(ctx context.Context, f *Facts) []Mapping {
	known := make(map[string]image, len(r.images))
	r.readKRBD(ctx, f, known)
	r.readNBD(ctx, f, known)
	r.images = known
	all := make([]Mapping, 0, len(known))
	for _, i := range known {
		all = append(all, i.Mapping)
	}
	slices.SortFunc(all, func(a, b Mapping) int {
		return cmp.Or(cmp.Compare(a.Driver, b.Driver), cmp.Compare(len(a.Device), len(b.Device)), cmp.Compare(a.Device, b.Device))
	})
	return all
}

func (r *Reader) readKRBD(ctx context.Context, f *Facts, known map[string]image) {
	dir := filepath.Join(r.opts.Sysfs, "bus", "rbd", "devices")
	entries, err := os.ReadDir(dir)
	if isAbsent(err) {
		return
	}
	if err != nil {
		f.miss(SourceKRBD, explain("list mapped images", err))
		return
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			f.miss(SourceKRBD, fmt.Errorf("list mapped images: %w", ctx.Err()))
			return
		}
		device := "rbd" + e.Name()
		folder, err := inode(filepath.Join(dir, e.Name()))
		if last, ok := r.images[device]; ok && err == nil && last.folder == folder {
			known[device] = r.again(last)
			continue
		}
		m, err := krbd.Read(r.opts.Sysfs, e.Name())
		switch {
		case gone(err):
			continue
		case err != nil:
			f.miss(SourceKRBD, fmt.Errorf("read mapping %s: %w", e.Name(), err))
			continue
		}
		i := image{Mapping: r.fromKRBD(m), folder: folder, client: m.FSID + "." + m.Client, sealed: m.Snapshot != ""}
		if i.Parents, err = r.parents(device); err != nil {
			f.miss(SourceKRBD, fmt.Errorf("read mapping %s: %w", e.Name(), err))
			i.folder = 0 // read it again the next time
		}
		known[device] = i
	}
}

// parents returns what an image reads from. An old kernel does not say it.
func (r *Reader) parents(device string) ([]Parent, error) {
	read, err := krbd.Parents(r.opts.Sysfs, strings.TrimPrefix(device, "rbd"))
	if gone(err) {
		return nil, nil
	}
	var parents []Parent
	for _, p := range read {
		parents = append(parents, Parent(p))
	}
	return parents, err
}

// fromKRBD returns the mapping. The kernel does not say where an image with a data pool has its data.
func (r *Reader) fromKRBD(m krbd.Mapping) Mapping {
	out := Mapping{
		Device: m.Device, Driver: KRBD, Pool: m.Pool, Namespace: m.Namespace, Image: m.Image, ImageID: m.ImageID,
		Snapshot: m.Snapshot, FSID: m.FSID, PoolID: m.PoolID,
	}
	if m.Features&ceph.DataPool != 0 {
		out.PoolID, out.HeaderPoolID, out.ObjectMap = 0, m.PoolID, m.Features.ObjectMap()
	}
	out.ReadOnly = m.Snapshot != "" || r.readOnly(m.Device)
	return out
}

// again returns an image as it is now. Of one that takes no writes the device is looked at, as blockdev --setrw changes that; of
// one that takes some it is not, as who has it mounted may go on writing. A clone may have been flattened.
func (r *Reader) again(i image) image {
	i.ReadOnly = i.ReadOnly && (i.sealed || r.readOnly(i.Device))
	if len(i.Parents) > 0 {
		if now, err := r.parents(i.Device); err == nil {
			i.Parents = now
		}
	}
	return i
}

// readOnly tells whether a device takes no writes now.
func (r *Reader) readOnly(device string) bool {
	ro, err := r.small(r.opts.Sysfs, "block", device, "ro")
	return err == nil && ro == "1"
}

func inode(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino, nil
	}
	return 0, nil
}

// readNBD finds devices of the nbd module that a rbd-nbd serves: the kernel names its process, and that its image.
func (r *Reader) readNBD(ctx context.Context, f *Facts, known map[string]image) {
	entries, err := os.ReadDir(filepath.Join(r.opts.Sysfs, "block"))
	if isAbsent(err) {
		return
	}
	if err != nil {
		f.miss(SourceNBD, explain("list block devices", err))
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "nbd") || ctx.Err() != nil {
			continue
		}
		i, ok, err := r.nbd(e.Name())
		switch {
		case gone(err):
		case err != nil:
			f.miss(SourceNBD, explain("read mapping "+e.Name(), err))
		case ok:
			known[e.Name()] = i
		}
	}
}

// nbd returns what a device of the nbd module is. ok is false when something else than rbd-nbd serves it. The command
// line is read once: where memory is short, reading it may have to wait for the process.
func (r *Reader) nbd(device string) (i image, ok bool, err error) {
	text, err := r.small(r.opts.Sysfs, "block", device, "pid")
	if err != nil {
		return image{}, false, err
	}
	pid, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return image{}, false, errors.New("parse pid: not a number")
	}
	if last, ok := r.images[device]; ok && last.folder == pid {
		return r.again(last), true, nil
	}
	cmdline, err := os.ReadFile(filepath.Join(r.opts.Procfs, text, "cmdline"))
	if err != nil {
		return image{}, false, err
	}
	i.Mapping, ok = parseNBD(string(cmdline))
	i.Device, i.folder, i.sealed = device, pid, i.ReadOnly
	i.ReadOnly = i.sealed || r.readOnly(device)
	return i, ok, nil
}

// nbdValues are the options of rbd-nbd that take a value as an argument of its own. It takes "_" for "-", too.
var nbdValues = []string{
	"--device", "--nbds-max", "--max-part", "--timeout", "--io-timeout", "--reattach-timeout", "--cookie", "--snap-id",
	"--quiesce-hook", "--conf", "-c", "--cluster", "--id", "--user", "--name", "-n", "--keyring", "-k", "--mon-host", "-m",
	"--keyfile", "--setuser", "--setgroup", "--pid-file", "--encryption-format", "--encryption-passphrase-file",
}

// parseNBD reads the command line of rbd-nbd: "rbd-nbd map [POOL/[NAMESPACE/]]IMAGE[@SNAPSHOT] [options]". It does not
// say which pool has the data.
func parseNBD(cmdline string) (m Mapping, ok bool) {
	args := strings.Split(strings.TrimSuffix(cmdline, "\x00"), "\x00")
	if filepath.Base(args[0]) != NBD {
		return Mapping{}, false
	}
	isReadOnly := func(arg string) bool { return dashed(arg) == "--read-only" }
	m = Mapping{Driver: NBD, ReadOnly: slices.ContainsFunc(args, isReadOnly)}
	var words []string
	for i := 1; i < len(args); i++ {
		switch {
		case slices.Contains(nbdValues, dashed(args[i])):
			i++
		case args[i] != "" && !strings.HasPrefix(args[i], "-"):
			words = append(words, args[i])
		}
	}
	if len(words) < 2 || words[0] != "map" && words[0] != "attach" {
		return Mapping{}, false
	}
	return m.withSpec(words[1]), true
}

// dashed writes an option the way that the manual has it.
func dashed(option string) string { return strings.ReplaceAll(option, "_", "-") }

// withSpec fills in what an image's name says. "rbd" is the pool where it says none.
func (m Mapping) withSpec(spec string) Mapping {
	spec, m.Snapshot, _ = strings.Cut(spec, "@")
	m.ReadOnly = m.ReadOnly || m.Snapshot != ""
	parts := strings.SplitN(spec, "/", 3)
	m.Image = parts[len(parts)-1]
	m.Pool = "rbd"
	if len(parts) > 1 {
		m.Pool = parts[0]
	}
	if len(parts) == 3 {
		m.Namespace = parts[1]
	}
	return m
}
