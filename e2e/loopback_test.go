package e2e

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// TestLoopback judges mappings of a kernel that is made of text by what real OSDs, mons and mgr say: one of a pool that
// is here, one of a pool that is not.
func TestLoopback(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	lab.RequireCeph(t)
	cluster := startCeph(t)
	if err := cluster.CreatePool(t.Context(), "vms"); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	mapImage(t, root, cluster, 0, "vms", poolNumber(t, cluster, "vms"))
	mapImage(t, root, cluster, 1, "far", 99)
	mapWithDataPool(t, root, cluster)
	loopbacktest.Write(t, root, "sys/kernel/debug/ceph/.keep", "\n")
	loopbacktest.Write(t, root, "proc/1/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
	loopbacktest.Write(t, root, "proc/swaps", "Filename\n")
	loopbacktest.Write(t, root, "proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 80 kB\nDirty: 0 kB\nWriteback: 0 kB\n")
	loopbacktest.Write(t, root, "proc/pressure/memory", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
	options := loopback.Options{
		Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"), CephRun: cluster.RunDir, CephLib: root, Caller: new(adminsocket.Client),
	}

	t.Run("collector", func(t *testing.T) {
		conn := rados.New(exporterOptions(t, cluster))
		t.Cleanup(conn.Close)
		var log lines
		t.Cleanup(func() { t.Log(log.String()) })
		e := exporter.New(exporter.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, exporter.NewLoopback(exporter.LoopbackOptions{
			Reader: options, GanetiRun: root, Shares: exporter.NewLoopbackShares(conn, rbd.Cluster{Conn: conn}),
		}))
		await(t, e, []string{
			`loopback_level{device="rbd0",pool="vms",image="disk0",reason="idle"} 1`,
			`loopback_level{device="rbd1",pool="far",image="disk1",reason="idle"} 0`,
			`loopback_local_osds{device="rbd0",pool="vms",image="disk0"} 3`,
			`loopback_level{device="rbd2",pool="vms",image="disk2",reason="idle",data_pool="data"} 1`,
			`loopback_level{device="nbd0",pool="vms",image="disk2",reason="idle",data_pool="data"} 1`,
			fmt.Sprintf(`loopback_pool_local_pgs_ratio{pool_id="%d",pool="vms",copy="primary"} 1`, poolNumber(t, cluster, "vms")),
			fmt.Sprintf(`loopback_pool_local_pgs_ratio{pool_id="%d",pool="vms",copy="any"} 1`, poolNumber(t, cluster, "vms")),
			fmt.Sprintf(`loopback_pool_local_pgs_ratio{pool_id="%d",pool="data",copy="any"} 1`, poolNumber(t, cluster, "data")),
			`ceph_ganeti_exporter_collector_success{collector="loopback"} 1`,
		}, nil)

		for _, osd := range []string{"osd.0", "osd.1", "osd.2"} {
			if err := cluster.KillDaemon(osd); err != nil {
				t.Fatal(err)
			}
		}
		await(t, e, []string{`loopback_level{device="rbd0",pool="vms",image="disk0",reason="idle"} 0`}, []string{"loopback_osd_answer_age_seconds"})
		for _, osd := range []string{"osd.0", "osd.1", "osd.2"} {
			if err := cluster.StartDaemon(osd); err != nil {
				t.Fatal(err)
			}
		}
		await(t, e, []string{`loopback_level{device="rbd0",pool="vms",image="disk0",reason="idle"} 1`}, nil)
	})

	t.Run("check", func(t *testing.T) {
		checker := loopcheck.Checker{
			Env:    &control.Env{Runner: &run.Runner{Env: []string{"CEPH_CONF=" + cluster.Conf}}},
			Host:   loopcheck.Host{Name: "here", Reader: options, GanetiRun: root},
			Config: cluster.Conf,
		}
		deadline := time.Now().Add(patience) // the mgr has to hear of the OSDs that were killed, and of what PGs they have again
		for {
			r := checker.Here(t.Context(), loopcheck.Query{})
			if r.Level == loopback.Info && r.Known && len(r.Missing) == 0 && len(r.Images) == 4 && whole(r.Images[0].Share) &&
				r.Images[2].DataPool == "data" && whole(r.Images[2].Share) && whole(r.Images[2].HeaderShare) &&
				r.Images[3].DataPool == "data" && len(r.Images[3].Verdict.Local) == 3 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("report = %+v", r)
			}
			time.Sleep(time.Second)
		}
	})
	t.Run("start", func(t *testing.T) { testLoopbackStart(t, cluster, options) })
}

// whole tells whether all of a pool is here.
func whole(s *loopback.Share) bool {
	return s != nil && s.PGs > 0 && s.Any == s.PGs && s.Primary == s.PGs
}

// mapWithDataPool maps an image that has its data in the pool data, by krbd and by rbd-nbd.
func mapWithDataPool(t *testing.T, root string, cluster *lab.Ceph) {
	t.Helper()
	if err := cluster.CreatePool(t.Context(), "data"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.RBD(t.Context(), "create", "--size", "8M", "--data-pool", "data", "vms/disk2"); err != nil {
		t.Fatal(err)
	}
	out, err := cluster.RBD(t.Context(), "info", "--format", "json", "vms/disk2")
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(out, &info); err != nil || info.ID == "" {
		t.Fatalf("rbd info %s: %v", out, err)
	}
	mapImage(t, root, cluster, 2, "vms", poolNumber(t, cluster, "vms"))
	for name, value := range map[string]string{"features": "0xa1\n", "image_id": info.ID + "\n"} { // no object map
		if err := os.WriteFile(filepath.Join(root, "sys/devices/rbd/2", name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loopbacktest.Write(t, root, "proc/901/cmdline", "rbd-nbd^@map^@vms/disk2^@")
	for name, value := range map[string]string{"pid": "901", "stat": "1 0 8 1 0 0 0 0 0 0 0", "inflight": "0 0", "ro": "0"} {
		loopbacktest.Write(t, root, "sys/block/nbd0/"+name, value+"\n")
	}
}

// poolNumber returns the id of a pool.
func poolNumber(t *testing.T, cluster *lab.Ceph, pool string) int {
	t.Helper()
	out, err := cluster.Ceph(t.Context(), "osd", "pool", "stats", pool, "-f", "json")
	if err != nil {
		t.Fatal(err)
	}
	var pools []struct {
		ID int `json:"pool_id"`
	}
	if err := json.Unmarshal(out, &pools); err != nil || len(pools) != 1 {
		t.Fatalf("pool stats %s: %v", out, err)
	}
	return pools[0].ID
}

// mapImage writes what sysfs says of a mapped image.
func mapImage(t *testing.T, root string, cluster *lab.Ceph, device int, pool string, poolID int) {
	t.Helper()
	fsid, err := cluster.Ceph(t.Context(), "fsid")
	if err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("sys/devices/rbd/%d/", device)
	loopbacktest.Write(t, root, fmt.Sprintf("sys/bus/rbd/devices/%d", device), fmt.Sprintf("-> ../../../devices/rbd/%d", device))
	loopbacktest.Write(t, root, fmt.Sprintf("sys/block/rbd%d", device), fmt.Sprintf("-> ../devices/rbd/%d/block/rbd%d", device, device))
	for name, value := range map[string]string{
		"pool": pool, "pool_id": fmt.Sprint(poolID), "name": fmt.Sprintf("disk%d", device), "image_id": "10a6", "current_snap": "-",
		"size": "1073741824", "features": "0x3d", "client_id": "client1", "cluster_fsid": strings.TrimSpace(string(fsid)),
		fmt.Sprintf("block/rbd%d/stat", device): "1 0 8 1 0 0 0 0 0 0 0", fmt.Sprintf("block/rbd%d/inflight", device): "0 0",
	} {
		loopbacktest.Write(t, root, dir+name, value+"\n")
	}
}
