package rbd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	goceph "github.com/ceph/go-ceph/rados"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// ErrOtherCluster is returned for an image of another cluster than the one that is connected to.
var ErrOtherCluster = errors.New("image is of another cluster")

// Placement is where an image has its data.
type Placement struct {
	Features ceph.Features
	// DataPool is the id of the pool with the data, 0 when that is the pool with the header. An image keeps it for life.
	DataPool uint64
}

// Place reads where an image has its data: two values of its header, and by name one object more. It costs the OSDs one
// operation or two. fsid is the image's cluster, empty when nobody says. The image is not opened, as that takes a dozen
// operations. It returns ErrGone for an image that does not exist, or has the old format 1, and ErrOtherCluster.
// Similar to: rbd info
func (c Cluster) Place(ctx context.Context, fsid string, e Entry) (Placement, error) {
	p, err := rados.Call(ctx, c.Conn, "read where images of "+e.Pool+" have their data", func(conn *goceph.Conn) (Placement, error) {
		if own, err := conn.GetFSID(); fsid != "" && (err != nil || own != fsid) {
			return Placement{}, errors.Join(ErrOtherCluster, err)
		}
		ioctx, err := conn.OpenIOContext(e.Pool)
		if err != nil {
			return Placement{}, err
		}
		defer ioctx.Destroy()
		ioctx.SetNamespace(e.Namespace)
		if e.ID == "" {
			if e.ID, err = imageID(ioctx, e.Name); err != nil {
				return Placement{}, fmt.Errorf("find %s: %w", e.Image, err)
			}
		}
		return place(ioctx, e.ID)
	})
	if rados.Errno(err) == syscall.ENOENT {
		return p, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return p, err
}

// imageID returns the id of the image with a name. Its object holds the length of the id and the id.
func imageID(ioctx *goceph.IOContext, name string) (string, error) {
	text := make([]byte, 256)
	n, err := ioctx.Read("rbd_id."+name, text, 0)
	if err != nil {
		return "", err
	}
	if n < 4 || binary.LittleEndian.Uint32(text) != uint32(n-4) {
		return "", errors.New("decode its id: of another length than it says")
	}
	return string(text[4:n]), nil
}

func place(ioctx *goceph.IOContext, id string) (Placement, error) {
	op := goceph.CreateReadOp()
	defer op.Release()
	values := op.GetOmapValuesByKeys([]string{"features", "data_pool_id"})
	if err := op.Operate(ioctx, "rbd_header."+id, goceph.OperationNoFlag); err != nil {
		return Placement{}, fmt.Errorf("read header %s: %w", id, err)
	}
	found := map[string][]byte{}
	for {
		v, err := values.Next()
		if err != nil {
			return Placement{}, fmt.Errorf("read header %s: %w", id, err)
		}
		if v == nil {
			return parsePlacement(found)
		}
		found[v.Key] = v.Value
	}
}

// parsePlacement reads values of an image's header, each of 8 bytes.
func parsePlacement(values map[string][]byte) (Placement, error) {
	features, ok := values["features"]
	if !ok || len(features) != 8 {
		return Placement{}, errors.New("decode header: no features")
	}
	p := Placement{Features: ceph.Features(binary.LittleEndian.Uint64(features))}
	if p.Features&ceph.DataPool == 0 {
		return p, nil
	}
	if len(values["data_pool_id"]) != 8 {
		return Placement{}, errors.New("decode header: no data pool")
	}
	p.DataPool = binary.LittleEndian.Uint64(values["data_pool_id"])
	return p, nil
}
