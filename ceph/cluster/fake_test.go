package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// files are the answers of a cluster, one file a command, as testdata/ceph/<release>/<case> holds them.
var files = map[rados.Command]string{
	rados.Health: "health", rados.QuorumStatus: "quorum_status", rados.MonMetadata: "mon_metadata",
	rados.OSDStat: "osd_stat", rados.OSDDump: "osd_dump", rados.OSDTree: "osd_tree", rados.OSDMetadata: "osd_metadata",
	rados.MgrStat: "mgr_stat", rados.MgrDump: "mgr_dump", rados.MgrMetadata: "mgr_metadata",
	rados.FSDump: "fs_dump", rados.MDSMetadata: "mds_metadata", rados.ServiceDump: "service_dump", rados.DF: "df",
	rados.PGStat: "pg_stat", rados.PGDumpPools: "pg_dump_pools", rados.PGDumpBrief: "pg_dump_brief",
	rados.OSDPerf: "osd_perf", rados.OSDPoolStats: "osd_pool_stats",
}

// fakeCluster answers from a folder, counts what it is asked, and fails where it is told to.
type fakeCluster struct {
	dir     string
	answers map[rados.Command]string // instead of the folder's
	asked   []string
}

var _ Runner = (*fakeCluster)(nil)

func (f *fakeCluster) Run(_ context.Context, cmd rados.Command) ([]byte, error) {
	f.asked = append(f.asked, cmd.String())
	if answer, ok := f.answers[cmd]; ok {
		return []byte(answer), nil
	}
	if f.dir == "" {
		return nil, fmt.Errorf("no answer to %s", cmd)
	}
	return os.ReadFile(filepath.Join(f.dir, files[cmd]+".json"))
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/ceph", path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
