package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// enough is after how many failures in a row a server is not asked further: each may take the whole timeout.
const enough = 2

// cluster asks mons and mgr all that the allow-list holds, but the I/O of images without Perf.
func (t *take) cluster(ctx context.Context) {
	if _, err := os.Stat(t.opts.CephConfig); errors.Is(err, fs.ErrNotExist) {
		return
	}
	dir := "ceph/" + release(t.versions["ceph"]) + "/cluster"
	failures := make(map[rados.Server]int)
	for _, cmd := range rados.Commands() {
		if failures[cmd.Server()] >= enough || !t.opts.Perf && cmd == rados.RBDPerfImageCounters("") {
			continue
		}
		answer, err := t.run(ctx, cmd)
		if err != nil {
			t.fail("ceph "+cmd.String(), err)
			failures[cmd.Server()]++
			continue
		}
		failures[cmd.Server()] = 0
		t.add("ceph "+cmd.String(), string(answer), dir, clusterFile(cmd))
	}
}

func (t *take) run(ctx context.Context, cmd rados.Command) ([]byte, error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	return t.opts.Cluster.Run(ctx, cmd)
}

// clusterFile tells the commands apart that differ in their arguments alone.
func clusterFile(cmd rados.Command) string {
	switch cmd {
	case rados.PGDumpPools:
		return fileName("pg dump pools")
	case rados.PGDumpBrief:
		return fileName("pg dump brief")
	}
	return fileName(cmd.String())
}
