package rbd

// #cgo LDFLAGS: -lrbd
// #include <rbd/librbd.h>
import "C"

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	goceph "github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// List returns the images of a pool in all its namespaces, by namespace and name. Those in the trash are left out.
// It costs an OSD one operation, and one a namespace and 1024 images.
// Similar to: rbd ls --format json
func (c Cluster) List(ctx context.Context, pool string) ([]Entry, error) {
	return inNamespace(ctx, c.Conn, "list images of "+pool, pool, "", func(ioctx *goceph.IOContext) ([]Entry, error) {
		namespaces, err := librbd.NamespaceList(ioctx)
		if err != nil {
			return nil, fmt.Errorf("list namespaces: %w", err)
		}
		var entries []Entry
		for _, namespace := range append([]string{""}, namespaces...) {
			ioctx.SetNamespace(namespace)
			found, err := list(ioctx, pool, namespace)
			if err != nil {
				return nil, fmt.Errorf("list images of namespace %q: %w", namespace, err)
			}
			entries = append(entries, found...)
		}
		slices.SortFunc(entries, func(a, b Entry) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		return entries, nil
	})
}

// list is what go-ceph's GetImageNames does, with the ids.
func list(ioctx *goceph.IOContext, pool, namespace string) ([]Entry, error) {
	size := C.size_t(1024)
	for {
		specs := make([]C.rbd_image_spec_t, size)
		ret := C.rbd_list2(C.rados_ioctx_t(ioctx.Pointer()), unsafe.SliceData(specs), &size)
		if ret == -C.int(syscall.ERANGE) {
			continue // size says now how many there are
		}
		if ret < 0 {
			return nil, listError(ret)
		}
		entries := make([]Entry, size)
		for i, spec := range specs[:size] {
			entries[i] = Entry{Image: ceph.Image{Pool: pool, Namespace: namespace, Name: C.GoString(spec.name)}, ID: C.GoString(spec.id)}
		}
		C.rbd_image_spec_list_cleanup(unsafe.SliceData(specs), size)
		return entries, nil
	}
}

// listError is a negative error number of rbd_list2. Its ErrorCode is what go-ceph's own errors have.
type listError int

func (e listError) Error() string { return syscall.Errno(-e).Error() }

// ErrorCode returns the negative error number.
func (e listError) ErrorCode() int { return int(e) }
