// Package krbd reads what the kernel's RBD client says in sysfs of the images that it has mapped on this node.
//
// It opens nothing but the attributes that it names: config_info beside them holds the cephx secret in clear.
package krbd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// ErrNoModule is returned by Mappings when the kernel has no rbd module loaded.
var ErrNoModule = errors.New("no rbd module")

// Mapping is one image that the kernel has mapped as a block device.
// Similar to: rbd device list --format json
type Mapping struct {
	// Device is the name of the block device without /dev/, for example rbd0.
	Device string
	// Pool and PoolID are the pool of the image, not of its data objects.
	Pool   string
	PoolID uint64
	// Namespace is empty for the default namespace, and on kernels before 5.0, which have no others.
	Namespace string
	Image     string
	ImageID   string
	// Snapshot is empty when the image itself is mapped.
	Snapshot string
	// SizeBytes is the size of the image, or of the snapshot.
	SizeBytes uint64
	Features  ceph.Features
	// Client is the kernel's name at the cluster, for example client4235. Watchers of the image show it.
	Client string
	// ClientAddr is the address and nonce behind Client, for example 192.0.2.1:0/3562049007.
	ClientAddr string
	// FSID is the cluster.
	FSID string
	// IO is what went through the block device since it was mapped.
	IO IO
}

// Mappings lists the images that are mapped now, in the order of the directory. One that goes away while it is
// read is left out. An error names the mappings that could not be read; the others are returned beside it.
// It returns ErrNoModule when sysfs (usually /sys) has no rbd bus.
func Mappings(ctx context.Context, sysfs string) ([]Mapping, error) {
	devices := filepath.Join(sysfs, "bus", "rbd", "devices")
	entries, err := os.ReadDir(devices)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoModule
	}
	if err != nil {
		return nil, fmt.Errorf("list mapped images: %w", err)
	}
	mappings := make([]Mapping, 0, len(entries))
	var errs []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return mappings, errors.Join(append(errs, err)...)
		}
		m, err := Read(sysfs, e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errGone):
		case err != nil:
			errs = append(errs, fmt.Errorf("read mapping %s: %w", e.Name(), err))
		default:
			mappings = append(mappings, m)
		}
	}
	return mappings, errors.Join(errs...)
}

// Read reads one mapping by its id, the number in its device's name. Its error is fs.ErrNotExist or syscall.ENODEV when
// it has gone.
//
// It reads through one open directory: when the id is taken by another image meanwhile, the directory is dead, and
// nothing of the two is mixed. So the attributes that every kernel has are read last.
func Read(sysfs, id string) (Mapping, error) {
	dir, err := os.OpenRoot(filepath.Join(sysfs, "bus", "rbd", "devices", id))
	if err != nil {
		return Mapping{}, err
	}
	defer dir.Close()
	m := Mapping{Device: "rbd" + id}
	a := attrs{dir: dir}
	m.Namespace = a.optional("pool_ns")
	m.Client = a.optional("client_id")
	m.ClientAddr = a.optional("client_addr")
	m.FSID = a.optional("cluster_fsid")
	if m.IO, err = readIO(filepath.Join(sysfs, "block", m.Device)); err != nil {
		return Mapping{}, err
	}
	m.Pool = a.text("pool")
	m.PoolID = a.number("pool_id")
	m.Image = a.text("name")
	m.ImageID = a.text("image_id")
	if snap := a.text("current_snap"); snap != "-" {
		m.Snapshot = snap
	}
	m.Features = ceph.Features(a.number("features"))
	m.SizeBytes = a.number("size")
	return m, a.err
}
