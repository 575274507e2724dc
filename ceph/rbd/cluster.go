// Package rbd reads pools, images and their I/O counters through librbd and the mgr. It changes nothing: images
// are opened read-only, which takes no lock and leaves no watcher behind.
package rbd

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	goceph "github.com/ceph/go-ceph/rados"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// ErrGone is returned for a pool or image that does not exist, for example because it was deleted a moment ago.
var ErrGone = errors.New("pool or image is gone")

// Cluster reads RBD images over a connection. The caps mon 'allow r', mgr 'allow r' and osd 'profile rbd-read-only'
// suffice.
type Cluster struct {
	Conn *rados.Conn
}

// Entry is an image as its pool lists it. ID tells it from a later one of the same name. It is empty for an image
// of the old format 1.
type Entry struct {
	ceph.Image
	ID string
}

// inNamespace runs f with an IOContext of a pool's namespace. One call at a time goes through a lane.
func inNamespace[T any](
	ctx context.Context, conn *rados.Conn, lane, pool, namespace string, f func(*goceph.IOContext) (T, error),
) (T, error) {
	result, err := rados.Call(ctx, conn, lane, func(c *goceph.Conn) (T, error) {
		ioctx, err := c.OpenIOContext(pool)
		if err != nil {
			var zero T
			return zero, err
		}
		defer ioctx.Destroy()
		ioctx.SetNamespace(namespace)
		return f(ioctx)
	})
	if rados.Errno(err) == syscall.ENOENT {
		return result, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return result, err
}
