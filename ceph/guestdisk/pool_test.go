package guestdisk

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// pooled is a runner for a cluster of two pools.
type pooled struct {
	info string
	err  error
}

func (p pooled) Run(_ context.Context, _ []byte, argv ...string) ([]byte, error) {
	if argv[0] == "ceph" {
		return []byte(`{"fsid":"b7f1","pools":[{"pool":2,"pool_name":"vms"},{"pool":7,"pool_name":"ec"}]}`), nil
	}
	return []byte(p.info), p.err
}

func TestDataPool(t *testing.T) {
	for _, test := range []struct {
		name, pool string
		runner     pooled
		want       Pool
		kind       string
	}{
		{name: "its own", pool: "vms", runner: pooled{info: `{"id":"1"}`}, want: Pool{"b7f1", 2, "vms", 0, 0, ""}},
		{name: "another", pool: "vms", runner: pooled{info: `{"id":"1","data_pool":"ec"}`}, want: Pool{"b7f1", 7, "ec", 0, 0, ""}},
		{name: "another, with an object map", pool: "vms", runner: pooled{info: `{"id":"1","data_pool":"ec","features":["object-map"]}`}, want: Pool{"b7f1", 7, "ec", 2, 0, ""}},
		{name: "a clone", pool: "vms", runner: pooled{info: `{"id":"1","parent":{"pool":"ec","image":"p","overlap":4096}}`}, want: Pool{"b7f1", 2, "vms", 0, 7, "ec"}},
		{name: "a clone no more", pool: "vms", runner: pooled{info: `{"id":"1","parent":{"pool":"ec","image":"p","overlap":0}}`}, want: Pool{"b7f1", 2, "vms", 0, 0, ""}},
		{name: "no image yet", pool: "vms", runner: pooled{err: failed{2, "rbd: error opening image i: (2) No such file or directory"}}, want: Pool{"b7f1", 2, "vms", 0, 0, ""}},
		{name: "no such pool", pool: "old", runner: pooled{info: `{"id":"1"}`}, kind: CasePool},
		{name: "no answer", pool: "vms", runner: pooled{err: failed{110, "rbd: couldn't connect to the cluster!"}}, kind: CaseNoAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := New(test.runner).DataPool(t.Context(), ceph.Device{Image: ceph.Image{Pool: test.pool, Name: "i"}, User: "u"})
			if test.kind != "" && !Is(err, test.kind) || test.kind == "" && err != nil {
				t.Fatalf("error %v, want %s", err, test.kind)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("pool (-want +got):\n%s", diff)
			}
			if err != nil && strings.Contains(err.Error(), "%!") {
				t.Errorf("error %v", err)
			}
		})
	}
}
