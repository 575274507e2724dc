package rbd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// ErrNoPerf is returned when the mgr cannot count the I/O of images: its module rbd_support is off or did not load.
var ErrNoPerf = errors.New("the mgr has no rbd_support module")

// maxPerfImages is how many images the mgr puts into an answer, the busiest first.
const maxPerfImages = 64

// IO is what the OSDs did for an image since the mgr began to count. It starts anew with another mgr, and after a
// minute without a question.
type IO struct {
	Reads, Writes           uint64
	ReadBytes, WrittenBytes uint64
	ReadTime, WriteTime     time.Duration
}

// Perf is the I/O of the busiest images.
type Perf struct {
	Images map[ceph.Image]IO
	// Truncated tells that there may be more images than the mgr puts into an answer.
	Truncated bool
}

// Perf asks the mgr for the I/O of images in all pools. The first question installs queries in the OSDs, can take
// more than 5 s, and its answer is empty; the queries go a minute after the last question.
// Similar to: ceph rbd perf image counters
func (c Cluster) Perf(ctx context.Context) (Perf, error) {
	answer, err := c.Conn.Run(ctx, rados.RBDPerfImageCounters(""))
	switch rados.Errno(err) {
	case syscall.EINVAL, syscall.EOPNOTSUPP:
		return Perf{}, fmt.Errorf("%w: %w", ErrNoPerf, err)
	}
	if err != nil {
		return Perf{}, err
	}
	return parsePerf(answer)
}

type perfAnswer struct {
	CounterDescriptors []string             `json:"counter_descriptors"`
	PoolDescriptors    map[string]string    `json:"pool_descriptors"`
	Counters           []map[string][]int64 `json:"counters"`
}

// parsePerf takes objects of one member: the name is an index into the pool descriptors, a slash and the image,
// the value a number for each counter descriptor. An image that was made anew under its name can be there twice
// until the mgr forgets the old one; it is left out, as nothing tells which is which.
func parsePerf(text []byte) (Perf, error) {
	var a perfAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return Perf{}, fmt.Errorf("parse counters of images: %w", err)
	}
	p := Perf{Images: make(map[ceph.Image]IO), Truncated: len(a.Counters) >= maxPerfImages}
	twice := make(map[ceph.Image]bool)
	for _, counter := range a.Counters {
		for key, values := range counter {
			image, err := a.image(key)
			if err != nil {
				return Perf{}, err
			}
			if _, ok := p.Images[image]; ok {
				twice[image] = true
			}
			p.Images[image] = a.io(values)
		}
	}
	for image := range twice {
		delete(p.Images, image)
	}
	return p, nil
}

func (a *perfAnswer) image(key string) (ceph.Image, error) {
	index, name, _ := strings.Cut(key, "/")
	spec, ok := a.PoolDescriptors[index]
	if !ok || name == "" {
		return ceph.Image{}, fmt.Errorf("parse counters of images: no pool for %q", key)
	}
	pool, namespace, _ := strings.Cut(spec, "/")
	return ceph.Image{Pool: pool, Namespace: namespace, Name: name}, nil
}

func (a *perfAnswer) io(values []int64) IO {
	var io IO
	for i, descriptor := range a.CounterDescriptors {
		if i >= len(values) || values[i] < 0 {
			continue
		}
		v := uint64(values[i])
		switch descriptor {
		case "read_ops":
			io.Reads = v
		case "write_ops":
			io.Writes = v
		case "read_bytes":
			io.ReadBytes = v
		case "write_bytes":
			io.WrittenBytes = v
		case "read_latency":
			io.ReadTime = time.Duration(v)
		case "write_latency":
			io.WriteTime = time.Duration(v)
		}
	}
	return io
}
