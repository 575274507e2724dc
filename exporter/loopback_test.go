package exporter

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
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

func TestLoopback(t *testing.T) {
	root := loopbacktest.Root(t, "../ceph/loopback/testdata/node.txtar")
	run := t.TempDir()
	startServer(t, filepath.Join(run, "ceph-osd.1.asok"), map[string][]byte{"get_mapped_pools": mappedPools(t)})
	loopbacktest.Write(t, root, "ganeti/instance-disks/web1.example.org:0", "-> /dev/rbd2")
	l := NewLoopback(LoopbackOptions{
		Reader: loopback.Options{
			Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"),
			CephRun: run, CephLib: t.TempDir(), Caller: new(adminsocket.Client),
			Now: func() time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) },
		},
		GanetiRun: filepath.Join(root, "ganeti"),
	})
	checkGolden(t, "testdata/loopback.prom", ownFamilies(t, l))
}
