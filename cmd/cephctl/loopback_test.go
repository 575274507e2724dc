package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
)

// TestLoopbackTable shows a node with everything on it, and one that did not answer.
func TestLoopbackTable(t *testing.T) {
	root, run := loopbacktest.Root(t, "../../ceph/loopback/testdata/node.txtar"), t.TempDir()
	osd, err := asoktest.Listen(filepath.Join(run, "ceph-osd.1.asok"), map[string][]byte{"get_mapped_pools": []byte("[1,2]")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { osd.Close() })
	loopbacktest.Write(t, root, "ganeti/instance-disks/web1:0", "-> /dev/rbd2")
	checker := loopcheck.Checker{
		Env: &control.Env{},
		Host: loopcheck.Host{Name: "node1", GanetiRun: filepath.Join(root, "ganeti"), Reader: loopback.Options{
			Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"), CephRun: run, CephLib: root,
		}},
		Config: "/nowhere/ceph.conf",
	}
	report := checker.Here(t.Context(), loopcheck.Query{})
	report.Images[2].Share = &loopback.Share{PGs: 32, Primary: 8, Any: 20}
	report.Images[7].Share, report.Images[7].HeaderShare = &loopback.Share{PGs: 16}, report.Images[2].Share
	report.Images[6].ParentShares = map[string]loopback.Share{"golden": {PGs: 8, Primary: 1, Any: 3}}
	report.Images[2].Oldest = 12 * time.Second
	var out bytes.Buffer
	(&app{}).writeLoopback(&out, []loopcheck.Report{report, {Node: "node2", Error: "node2: no route to host"}})
	clitest.Generated(t, "testdata/loopback.golden", out.Bytes())
}

func TestLoopbackResult(t *testing.T) {
	report := func(level loopback.Level, known bool) loopcheck.Report {
		return loopcheck.Report{Level: level, Known: known}
	}
	for _, c := range []struct {
		reports []loopcheck.Report
		want    int
	}{
		{[]loopcheck.Report{report(loopback.None, true)}, 0},
		{[]loopcheck.Report{report(loopback.None, true), report(loopback.Info, true)}, 0},
		{[]loopcheck.Report{report(loopback.Notice, true), report(loopback.Info, true)}, 12},
		{[]loopcheck.Report{report(loopback.Warning, true)}, 13},
		{[]loopcheck.Report{report(loopback.Critical, true)}, 14},
		{[]loopcheck.Report{report(loopback.Critical, false)}, 14},
		{[]loopcheck.Report{report(loopback.Warning, true), report(loopback.None, false)}, 15},
	} {
		err := loopbackResult(c.reports)
		if got := exitCode(err); got != c.want {
			t.Errorf("%+v: %d, want %d", c.reports, got, c.want)
		}
		var out bytes.Buffer
		if tell(&out, err); out.Len() > 0 {
			t.Errorf("%v is told beside the output: %s", err, &out)
		}
	}
}

func TestLoopbackCheckRefuses(t *testing.T) {
	for _, watch := range []time.Duration{-time.Second, 2 * time.Hour} {
		if err := runLoopbackCheck(t.Context(), &app{}, loopbackCheckOptions{watch: watch}); !errors.Is(err, control.ErrUsage) {
			t.Errorf("watch %s: %v", watch, err)
		}
	}
}
