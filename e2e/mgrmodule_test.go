package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// onlyInModule are the series of the mgr's module that the exporter does not give, by how they begin, and why.
var onlyInModule = map[string]string{
	"ceph_prometheus_collect_duration_seconds": "how long the module itself takes",
	"ceph_rbd_image_metadata":                  "of the rbd collector, which has more of it as ceph_rbd_image_info",
}

// settle is longer than a daemon waits before it tells the mgr its counters again, which is 5 s.
const settle = 12 * time.Second

// TestEqualsMgrModule compares all that the mgr's prometheus module gives of an idle cluster with what the exporter
// gives: names, labels and values, each between the values that the exporter gives before and after. OSDs on files
// have no block device: that ceph_disk_occupation is equal, TestClusterEqualsMgrModule of the exporter shows.
func TestEqualsMgrModule(t *testing.T) {
	lab.RequireCeph(t)
	cluster := startCeph(t)
	if err := cluster.CreatePool(t.Context(), "vms"); err != nil {
		t.Fatal(err)
	}
	conn := rados.New(exporterOptions(t, cluster))
	t.Cleanup(conn.Close)
	sockets := &adminsocket.Client{}
	ours := exporter.New(exporter.Options{},
		exporter.NewDaemon(exporter.DaemonOptions{RunDir: cluster.RunDir, Procfs: "/proc", Priority: 5, Caller: sockets}),
		exporter.NewCluster(exporter.ClusterOptions{
			Leader: exporter.LeaderCheck{Mode: exporter.ClusterAuto, CephRun: cluster.RunDir, Caller: sockets},
			Runner: conn,
		}))
	url := startModule(t, cluster)
	awaitModule(t, url)

	scrape(ours) // a mon gives its counters from the second scrape on
	before := parseSeries(scrape(ours))
	time.Sleep(settle)
	module := parseSeries(get(t, url))
	after := parseSeries(scrape(ours))

	compared := 0
	for s, want := range module {
		if only(s) || passedCheck(s, want) {
			continue
		}
		compared++
		name := ourName(s, after)
		first, found := before[name]
		last, still := after[name]
		switch {
		case !found || !still:
			t.Errorf("the exporter does not give %s", s)
		case want < min(first, last) || want > max(first, last):
			t.Errorf("%s is %v before and %v after, in the module %v", s, first, last, want)
		}
	}
	if compared < 500 {
		t.Errorf("%d series of the module were compared, want at least 500", compared)
	}
}

func only(s string) bool {
	for start := range onlyInModule {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return false
}

// passedCheck tells whether a series is of a health check that has passed. The module remembers those and gives them
// the value 0, where the exporter gives none.
func passedCheck(s string, value float64) bool {
	return strings.HasPrefix(s, "ceph_health_detail{") && value == 0
}

// ourName returns the name of a series of the module in the exporter, which has the labels of later releases: 16.2
// calls the label of ceph_pool_objects_repaired poolid and has no label application for pools.
func ourName(s string, ours series) string {
	if strings.HasPrefix(s, "ceph_pool_objects_repaired{") {
		return strings.Replace(s, "{poolid=", "{pool_id=", 1)
	}
	if labels, ok := strings.CutPrefix(s, "ceph_pool_metadata{compression_mode="); ok {
		for name := range ours {
			if strings.HasPrefix(name, "ceph_pool_metadata{application=") && strings.HasSuffix(name, ",compression_mode="+labels) {
				return name
			}
		}
	}
	return s
}

// startModule enables the mgr's prometheus module. It collects anew for every request.
func startModule(t *testing.T, cluster *lab.Ceph) (url string) {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"config", "set", "mgr", "mgr/prometheus/server_addr", "127.0.0.1"},
		{"config", "set", "mgr", "mgr/prometheus/server_port", strconv.Itoa(ports[0])},
		{"config", "set", "mgr", "mgr/prometheus/cache", "false"},
		{"mgr", "module", "enable", "prometheus"},
	} {
		if _, err := cluster.Ceph(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0])
}

// awaitModule waits until the mgr, which starts anew with its modules, has heard of every daemon.
func awaitModule(t *testing.T, url string) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		text := get(t, url)
		lack := ""
		for _, s := range []string{
			`ceph_mon_num_sessions{ceph_daemon="mon.a"}`, `ceph_osd_op{ceph_daemon="osd.0"}`,
			`ceph_osd_op{ceph_daemon="osd.1"}`, `ceph_osd_op{ceph_daemon="osd.2"}`, `ceph_pg_active{pool_id="2"}`,
		} {
			if !strings.Contains(text, s) {
				lack = s
			}
		}
		if lack == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the module does not give %s", lack)
		}
		time.Sleep(time.Second)
	}
}

// get returns what url answers, nothing while nobody answers.
func get(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
