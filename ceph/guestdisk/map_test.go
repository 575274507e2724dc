package guestdisk

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// recording is a runner that remembers what was run.
type recording struct {
	ran    []string
	answer string
}

func (r *recording) Run(_ context.Context, _ []byte, argv ...string) ([]byte, error) {
	r.ran = append(r.ran, strings.Join(argv, " "))
	return []byte(r.answer), nil
}

// kernel is the sysfs of a kernel that has mapped an image of the pool vms, and a snapshot of backup/tenant-a/nightly image.
const kernel = "../krbd/testdata/linux/6.1/two"

func TestMap(t *testing.T) {
	const mapped = "381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0"
	device := func(pool, namespace, name string) ceph.Device {
		return ceph.Device{Image: ceph.Image{Pool: pool, Namespace: namespace, Name: name}, User: "instances"}
	}
	for _, test := range []struct {
		name          string
		device        ceph.Device
		want          string
		mapping, back []string
	}{
		{
			name: "it is mapped", device: device("vms", "", mapped), want: "/dev/rbd0",
			back: []string{"rbd --admin-socket= --id instances device unmap /dev/rbd0"},
		},
		{
			name: "it is not", device: device("vms", "", "other"), want: "/dev/rbd7",
			mapping: []string{"rbd --admin-socket= --id instances device map vms/other"},
		},
		{
			name: "only a snapshot is", device: device("backup", "tenant-a", "nightly image"), want: "/dev/rbd7",
			mapping: []string{"rbd --admin-socket= --id instances device map backup/tenant-a/nightly image"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &recording{answer: "/dev/rbd7\n"}
			h := New(r)
			h.Sysfs = kernel
			got, err := h.Map(t.Context(), test.device)
			if got != test.want || err != nil {
				t.Errorf("mapped as %s, %v, want %s", got, err, test.want)
			}
			if diff := cmp.Diff(test.mapping, r.ran); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
			r.ran = nil
			if err := h.Unmap(t.Context(), test.device); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.back, r.ran); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
		})
	}
}
