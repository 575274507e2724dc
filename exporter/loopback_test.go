package exporter

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
)

// mappedPools is the answer of a real OSD of release 16: pools 1 and 2.
func mappedPools(t testing.TB) []byte {
	t.Helper()
	answer, err := os.ReadFile("../ceph/loopback/testdata/ceph/16.2/get_mapped_pools.json")
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// newLoopbackTest returns the options of a collector on a node that is made of text, and its root.
func newLoopbackTest(t *testing.T) (opts LoopbackOptions, root string) {
	t.Helper()
	root = loopbacktest.Root(t, "../ceph/loopback/testdata/node.txtar")
	run := t.TempDir()
	startServer(t, filepath.Join(run, "ceph-osd.1.asok"), map[string][]byte{"get_mapped_pools": mappedPools(t)})
	loopbacktest.Write(t, root, "ganeti/instance-disks/web1.example.org:0", "-> /dev/rbd2")
	return LoopbackOptions{
		Reader: loopback.Options{
			Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"),
			CephRun: run, CephLib: t.TempDir(), Caller: new(adminsocket.Client),
			Now: func() time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) },
		},
		GanetiRun: filepath.Join(root, "ganeti"),
	}, root
}

func TestLoopback(t *testing.T) {
	opts, _ := newLoopbackTest(t)
	checkGolden(t, "testdata/loopback.prom", ownFamilies(t, NewLoopback(opts)))
}

// Where processes cannot be looked at, what QEMU says of its disks counts, and the collector has not failed.
func TestLoopbackGuests(t *testing.T) {
	opts, root := newLoopbackTest(t)
	if err := os.WriteFile(filepath.Join(root, "proc/902/fdinfo/11"), []byte("odd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts.Guests = func() map[string]GuestDevice {
		return map[string]GuestDevice{"rbd1": {Instance: "web2", Cache: "none"}, "rbd2": {Instance: "web1", Cache: "writeback"}}
	}
	got := scrape(t, New(Options{}, NewLoopback(opts))).with("loopback_level")
	want := series{
		`loopback_level{device="rbd1",image="disk1",pool="vms",reason="direct"}`:                                                 2,
		`loopback_level{device="rbd2",disk="0",ganeti_instance="web1.example.org",image="disk2",pool="vms",reason="page_cache"}`: 3,
		`loopback_level{device="rbd3",image="disk3",pool="vms",reason="filesystem"}`:                                             3,
		`loopback_level{device="rbd4",image="disk4",pool="vms",reason="swap"}`:                                                   4,
		`loopback_level{device="rbd5",image="disk5",pool="vms",reason="idle"}`:                                                   1,
		`loopback_level{device="rbd6",image="disk6",pool="far",reason="idle"}`:                                                   0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A node without mappings has no level, says so, and asks nobody.
func TestLoopbackWithoutMappings(t *testing.T) {
	cluster := &loopbackCluster{}
	e := New(Options{}, NewLoopback(LoopbackOptions{
		Reader:    loopback.Options{Sysfs: t.TempDir(), Procfs: "/proc", CephRun: t.TempDir()},
		GanetiRun: t.TempDir(), Shares: NewLoopbackShares(cluster, cluster),
	}))
	got := scrape(t, e)
	want := series{
		`loopback_mappings{driver="krbd"}`:                                   0,
		`loopback_mappings{driver="rbd-nbd"}`:                                0,
		`ceph_ganeti_exporter_collector_success{collector="loopback"}`:       1,
		`ceph_ganeti_exporter_target_up{collector="loopback",target="node"}`: 1,
	}
	if diff := cmp.Diff(want, got.with("loopback_level", "loopback_level_known", "loopback_mappings",
		"ceph_ganeti_exporter_collector_success", "ceph_ganeti_exporter_target_up")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(cluster.asked) > 0 {
		t.Errorf("asked %q", cluster.asked)
	}
}

// loopbackCluster is a cluster with two pools, of which osd.1 has some placement groups. It has the data of disk7 in the
// first, and knows no other cluster.
type loopbackCluster struct {
	epoch    int
	err      error // of the mgr
	placeErr error
	asked    []string
}

func (c *loopbackCluster) Place(_ context.Context, fsid string, e rbd.Entry) (rbd.Placement, error) {
	c.asked = append(c.asked, strings.TrimRight("place "+e.String()+" "+e.ID, " "))
	if fsid != "" && fsid != "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21" {
		return rbd.Placement{}, rbd.ErrOtherCluster
	}
	if e.Name == "disk7" {
		return rbd.Placement{Features: 0x81, DataPool: 1}, c.placeErr
	}
	return rbd.Placement{Features: 0x3d}, c.placeErr
}

func (c *loopbackCluster) Run(_ context.Context, cmd rados.Command) ([]byte, error) {
	c.asked = append(c.asked, cmd.String())
	switch cmd {
	case rados.OSDStat:
		return fmt.Appendf(nil, `{"epoch":%d}`, c.epoch), nil
	case rados.OSDDump:
		return []byte(`{"epoch":1,"fsid":"5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21","pools":[{"pool":1,"pool_name":"other","pg_num":1},{"pool":2,"pool_name":"vms","pg_num":8}]}`), nil
	case rados.PGsByOSD(1):
		return []byte(`{"pg_ready":true,"pg_stats":[{"pgid":"1.0","acting_primary":4},{"pgid":"2.1","acting_primary":1},{"pgid":"2.2","acting_primary":4}]}`), c.err
	}
	return nil, fmt.Errorf("unexpected command %s", cmd)
}

// Of a clone the pool of its parent counts as well.
func TestLoopbackParent(t *testing.T) {
	opts, root := newLoopbackTest(t)
	loopbacktest.Write(t, root, "sys/devices/rbd/6/parent", "pool_id 1\npool_name other\nimage_id 5e3a1b2c4d5f\noverlap 4096\n")
	cluster := &loopbackCluster{epoch: 7}
	opts.Shares = NewLoopbackShares(cluster, cluster)
	got := scrape(t, New(Options{}, NewLoopback(opts)))
	for want, value := range map[string]float64{
		`loopback_level{device="rbd6",image="disk6",pool="far",reason="idle"}`:                1,
		`loopback_local_pool_info{device="rbd6",image="disk6",local_pool="other",pool="far"}`: 1,
		`loopback_pool_local_pgs_ratio{copy="any",pool="other",pool_id="1"}`:                  1,
	} {
		if v, ok := got[want]; !ok || v != value {
			t.Errorf("%s is %v, there %v, want %v", want, v, ok, value)
		}
	}
}

// The cluster is asked for placement groups when the OSD map has changed, and once where an image has its data.
func TestLoopbackShares(t *testing.T) {
	opts, _ := newLoopbackTest(t)
	cluster := &loopbackCluster{epoch: 7, placeErr: rados.ErrNoAnswer}
	opts.Shares = NewLoopbackShares(cluster, cluster)
	e := New(Options{}, NewLoopback(opts))
	own := series{
		`loopback_pool_local_pgs_ratio{copy="any",pool="vms",pool_id="2"}`:     0.25,
		`loopback_pool_local_pgs_ratio{copy="primary",pool="vms",pool_id="2"}`: 0.125,
	}
	both := maps.Clone(own)
	both[`loopback_pool_local_pgs_ratio{copy="any",pool="other",pool_id="1"}`] = 1
	both[`loopback_pool_local_pgs_ratio{copy="primary",pool="other",pool_id="1"}`] = 0
	places := []string{"place vms/disk7 10a6f2a2b3c7", "place vms/tenant/disk9"}
	for _, step := range []struct {
		name   string
		change func()
		asked  []string
		shares series
		known  bool
	}{
		{"headers do not answer", func() {}, append([]string{"osd stat", "osd dump", "pg ls-by-osd"}, places...), own, false},
		{"headers answer", func() { cluster.placeErr = nil }, append([]string{"osd stat"}, places...), both, false},
		{"same map", func() {}, []string{"osd stat"}, both, true},
		{"another map, no mgr", func() { cluster.epoch, cluster.err = 8, rados.ErrNoAnswer }, []string{"osd stat", "osd dump", "pg ls-by-osd"}, series{}, true},
		{"well again", func() { cluster.err = nil }, []string{"osd stat", "osd dump", "pg ls-by-osd"}, both, true},
		{"same map again", func() {}, []string{"osd stat"}, both, true},
	} {
		step.change()
		cluster.asked = nil
		got := scrape(t, e)
		if diff := cmp.Diff(step.shares, got.with("loopback_pool_local_pgs_ratio")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.asked, cluster.asked); diff != "" {
			t.Errorf("%s, asked (-want +got):\n%s", step.name, diff)
		}
		for device, image := range map[string]string{"nbd0": `device="nbd0",image="disk9",namespace="tenant"`, "rbd7": `data_pool="other",device="rbd7",image="disk7"`} {
			level, known := got[fmt.Sprintf(`loopback_level{%s,pool="vms",reason="idle"}`, image)]
			if known != step.known || known && level != 1 {
				t.Errorf("%s: %s has level %v, known %v", step.name, device, level, known)
			}
		}
	}
}

// An image of another cluster stays without a level, and the collector has not failed: the exporter has no key there.
func TestLoopbackOtherCluster(t *testing.T) {
	opts, root := newLoopbackTest(t)
	loopbacktest.Write(t, root, "sys/devices/rbd/7/cluster_fsid", "00000000-0000-0000-0000-000000000000\n")
	for device := range 6 {
		loopbacktest.Write(t, root, fmt.Sprintf("sys/devices/rbd/%d/cluster_fsid", device), "00000000-0000-0000-0000-000000000000\n")
	}
	loopbacktest.Write(t, root, "sys/block/nbd0/pid", "951\n") // something else serves it
	// Its OSD is not asked for placement groups, as it is none of ours.
	other := filepath.Join(opts.Reader.CephRun, "00000000-0000-0000-0000-000000000000")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	startServer(t, filepath.Join(other, "ceph-osd.7.asok"), map[string][]byte{"get_mapped_pools": mappedPools(t)})
	cluster := &loopbackCluster{epoch: 7}
	opts.Shares = NewLoopbackShares(cluster, cluster)
	e := New(Options{}, NewLoopback(opts))
	scrape(t, e)
	got := scrape(t, e).with("ceph_ganeti_exporter_collector_success", "loopback_pool_local_pgs_ratio")
	if diff := cmp.Diff(series{`ceph_ganeti_exporter_collector_success{collector="loopback"}`: 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
