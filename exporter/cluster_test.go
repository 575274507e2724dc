package exporter

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

const clusterAnswers = "../ceph/cluster/testdata/ceph"

// fakeRunner answers with the files of a folder, and fails where it is told to.
type fakeRunner struct {
	dir     string
	failing func(rados.Command) error
}

var _ cluster.Runner = fakeRunner{}

func (f fakeRunner) Run(_ context.Context, cmd rados.Command) ([]byte, error) {
	if f.failing != nil {
		if err := f.failing(cmd); err != nil {
			return nil, err
		}
	}
	name := strings.ReplaceAll(cmd.String(), " ", "_")
	switch cmd {
	case rados.PGDumpPools:
		name += "_pools"
	case rados.PGDumpBrief:
		name += "_brief"
	}
	return os.ReadFile(filepath.Join(clusterAnswers, f.dir, name+".json"))
}

func newFakeCluster(f fakeRunner) *Cluster {
	return NewCluster(ClusterOptions{Leader: LeaderCheck{Mode: ClusterAlways}, Runner: f})
}

func TestCluster(t *testing.T) {
	for _, dir := range []string{"16.2/osd-down", "16.2/block-devices", "16.2/services", "18.2/no-modules", "20.2/healthy"} {
		t.Run(dir, func(t *testing.T) {
			got := ownFamilies(t, newFakeCluster(fakeRunner{dir: dir}))
			checkGolden(t, filepath.Join("testdata/cluster", strings.ReplaceAll(dir, "/", "-")+".prom"), got)
		})
	}
}

// What the mgr's own module gave for the same cluster at the same time. Of 16.2 only what the answers of another
// moment say too; e2e compares everything.
func TestClusterEqualsMgrModule(t *testing.T) {
	elsewhere := []string{
		"ceph_prometheus_collect_duration_seconds", // of the module itself
		"ceph_rbd_image_metadata",                  // of the rbd collector
	}
	for _, dir := range []string{"16.2/block-devices", "16.2/services", "20.2/healthy"} {
		t.Run(dir, func(t *testing.T) {
			module, err := os.ReadFile(filepath.Join(clusterAnswers, dir, "module.prom"))
			if err != nil {
				t.Fatal(err)
			}
			ours := parseSeries(t, ownFamilies(t, newFakeCluster(fakeRunner{dir: dir})))
			for series, value := range parseSeries(t, module) {
				if slices.ContainsFunc(elsewhere, func(name string) bool { return strings.HasPrefix(series, name) }) {
					continue
				}
				if got, ok := ours[withoutApplication(dir, series, ours)]; !ok || got != value {
					t.Errorf("%s is %v, in the module %v", series, got, value)
				}
			}
		})
	}
}

// withoutApplication finds our series of a pool of 16.2, whose module lacks the label application.
func withoutApplication(dir, series string, ours map[string]float64) string {
	if !strings.HasPrefix(dir, "16.") || !strings.HasPrefix(series, "ceph_pool_metadata") {
		return series
	}
	_, labels, _ := strings.Cut(series, "{")
	for candidate := range ours {
		if strings.HasPrefix(candidate, "ceph_pool_metadata{") && strings.HasSuffix(candidate, strings.TrimPrefix(labels, "application=")) {
			return candidate
		}
	}
	return series
}

// parseSeries returns the values of untyped text by name and sorted labels, empty ones left out.
func parseSeries(t *testing.T, text []byte) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(2)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	series := make(map[string]float64)
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetValue() != "" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			slices.Sort(labels)
			series[name+"{"+strings.Join(labels, ",")+"}"] = value(m)
		}
	}
	return series
}

func value(m *dto.Metric) float64 {
	return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
}

func TestClusterWithoutMgr(t *testing.T) {
	failing := func(cmd rados.Command) error {
		if cmd.Server() == rados.Mgr {
			return errors.New("no mgr answered")
		}
		return nil
	}
	got := string(ownFamilies(t, newFakeCluster(fakeRunner{dir: "16.2/osd-down", failing: failing})))
	for _, want := range []string{"\nceph_health_status 1\n", "\nceph_osd_up{", "\nceph_mgr_status{"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	// The mons go on telling the usage that they heard of last.
	for _, stale := range []string{"ceph_pg_", "ceph_cluster_total", "ceph_pool_stored", "ceph_osd_apply"} {
		if strings.Contains(got, stale) {
			t.Errorf("there is still a %s", stale)
		}
	}
}

// One command that fails costs the series that come from it.
func TestClusterWithOneFailure(t *testing.T) {
	for _, test := range []struct {
		failing rados.Command
		gone    string
		there   []string
	}{
		{rados.Health, "ceph_health_status", []string{"ceph_mon_quorum_status", "ceph_osd_up", "ceph_mgr_status"}},
		{rados.QuorumStatus, "ceph_mon_quorum_status", []string{"ceph_health_status", "ceph_osd_up"}},
		{rados.MonMetadata, "ceph_mon_metadata", []string{"ceph_mon_quorum_status", "ceph_osd_up"}},
		{rados.OSDDump, "ceph_osd_up", []string{"ceph_health_status", "ceph_mgr_status"}},
		{rados.OSDTree, "ceph_osd_metadata", []string{"ceph_osd_up", "ceph_osd_flag_noout", "ceph_pool_metadata", "ceph_daemon_health_metrics"}},
		{rados.OSDMetadata, "ceph_osd_metadata", []string{"ceph_osd_up", "ceph_osd_flag_noout", "ceph_pool_metadata", "ceph_daemon_health_metrics"}},
		{rados.MgrMetadata, "ceph_mgr_metadata", []string{"ceph_mgr_status", "ceph_mgr_module_can_run"}},
		{rados.MgrMetadata, "ceph_mgr_module_status", []string{"ceph_mgr_status"}},
		{rados.MgrDump, "ceph_mgr_status", []string{"ceph_health_status", "ceph_osd_up"}},
		{rados.PGDumpBrief, "ceph_pg_active", []string{"ceph_pg_total", "ceph_pool_stored", "ceph_osd_apply_latency_ms"}},
		{rados.DF, "ceph_pool_stored", []string{"ceph_pg_active", "ceph_osd_apply_latency_ms"}},
		{rados.OSDPerf, "ceph_osd_apply_latency_ms", []string{"ceph_pool_stored", "ceph_pool_recovering_bytes_per_sec"}},
		{rados.OSDPoolStats, "ceph_pool_recovering_bytes_per_sec", []string{"ceph_pool_stored"}},
	} {
		t.Run(test.failing.String(), func(t *testing.T) {
			withOneFailure(t, "16.2/osd-down", test.failing, test.gone, test.there)
		})
	}
}

func TestClusterServicesWithOneFailure(t *testing.T) {
	for _, test := range []struct {
		failing rados.Command
		gone    string
		there   []string
	}{
		{rados.FSDump, "ceph_fs_metadata", []string{"ceph_mgr_status", "ceph_rgw_metadata"}},
		{rados.MDSMetadata, "ceph_mds_metadata", []string{"ceph_fs_metadata", "ceph_mgr_status"}},
		{rados.ServiceDump, "ceph_rgw_metadata", []string{"ceph_fs_metadata", "ceph_pool_stored"}},
		{rados.ServiceDump, "ceph_rbd_mirror_metadata", []string{"ceph_mds_metadata", "ceph_pool_recovering_bytes_per_sec"}},
	} {
		t.Run(test.failing.String(), func(t *testing.T) {
			withOneFailure(t, "16.2/services", test.failing, test.gone, test.there)
		})
	}
}

// withOneFailure lets one command of a cluster fail, and looks for what is then gone and what is still there.
func withOneFailure(t *testing.T, dir string, failing rados.Command, gone string, there []string) {
	t.Helper()
	got := string(ownFamilies(t, newFakeCluster(fakeRunner{dir: dir, failing: func(cmd rados.Command) error {
		if cmd == failing {
			return errors.New("told to fail")
		}
		return nil
	}})))
	if strings.Contains(got, gone) {
		t.Errorf("there is still a %s", gone)
	}
	for _, family := range there {
		if !strings.Contains(got, family) {
			t.Errorf("no %s", family)
		}
	}
}

func TestAddDaemonHealth(t *testing.T) {
	health := cluster.Health{Checks: map[string]cluster.Check{
		"SLOW_OPS": {Summary: "42 slow ops, oldest one blocked for 12 sec, osd.1 has slow ops"},
		"PENDING_CREATING_PGS": {
			Summary: "5 PGs pending on creation", Details: []string{"osds [osd.0,osd.1] have pending PGs."},
		},
	}}
	mons := []cluster.Mon{{Name: "a", InQuorum: true}, {Name: "b"}}
	osds := []cluster.OSD{{ID: 0}, {ID: 1}, {ID: 2, New: true}}
	b := &Batch{}
	if err := addDaemonHealth(b, health, mons, osds); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, s := range b.samples {
		got[strings.Join(s.labels, " ")] = s.value
	}
	want := map[string]float64{
		"SLOW_OPS mon.a": 0, "SLOW_OPS osd.0": 0, "SLOW_OPS osd.1": 42,
		"PENDING_CREATING_PGS osd.0": 1, "PENDING_CREATING_PGS osd.1": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
