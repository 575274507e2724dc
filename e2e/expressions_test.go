package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/dashboards"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/rules"
)

// mayBeEmpty are the expressions that have no series in this test, with the reason.
var mayBeEmpty = map[string]string{
	"rule LoopbackSilent": "the exporter answers: it is awaited when that is over",
}

// TestExpressions evaluates every expression of the rules and dashboards in a real Prometheus that scrapes a real
// cluster with a guest, beside mappings of a kernel that is made of text, at all levels.
func TestExpressions(t *testing.T) {
	t.Parallel() // most of the time, Prometheus is waited for
	lab.RequireCeph(t)
	lab.RequireGuest(t)
	lab.Require(t, "prometheus")
	cluster := startCeph(t)
	if err := cluster.CreatePool(t.Context(), "vms"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.CreateBootImage(t.Context(), "vms", "disk", 1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.StartGuest(t.Context(), lab.GuestOptions{Name: "inst1.lab", Disks: []lab.Disk{{Pool: "vms", Image: "disk"}}}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(expressionsExporter(t, cluster))
	t.Cleanup(server.Close)
	prometheus := startPrometheus(t, strings.TrimPrefix(server.URL, "http://"))

	for where, expr := range expressions(t) {
		awaitSamples(t, prometheus, where, expr)
	}
	for _, alert := range []string{"LoopbackInfo", "LoopbackWarning", "LoopbackCritical", "LoopbackStuck", "LoopbackUnknown", "LoopbackMappingsUnknown"} {
		awaitSamples(t, prometheus, alert+" is pending or firing", fmt.Sprintf(`ALERTS{alertname=%q}`, alert))
	}
	server.Close()
	awaitSamples(t, prometheus, "LoopbackSilent is pending or firing", `ALERTS{alertname="LoopbackSilent"}`)
}

func expressionsExporter(t *testing.T, cluster *lab.Ceph) *exporter.Exporter {
	t.Helper()
	root := loopbacktest.Root(t, "../ceph/loopback/testdata/node.txtar")
	for device := range 8 { // the pools are those of the cluster; one mapping can't be read
		id := fmt.Sprint(poolNumber(t, cluster, "vms"))
		if device == 6 {
			id = "many"
		}
		loopbacktest.Write(t, root, fmt.Sprintf("sys/devices/rbd/%d/pool_id", device), id+"\n")
	}
	conn := rados.New(exporterOptions(t, cluster))
	t.Cleanup(conn.Close)
	sockets := new(adminsocket.Client)
	return exporter.New(exporter.Options{},
		exporter.NewDaemon(exporter.DaemonOptions{RunDir: cluster.RunDir, Procfs: "/proc", Priority: 5, Caller: sockets}),
		exporter.NewQEMU(exporter.QEMUOptions{
			Procfs: "/proc", GanetiRun: cluster.GanetiRunDir, CephctlRun: root, CephRun: cluster.RunDir, Caller: sockets,
		}),
		exporter.NewKRBD(exporter.KRBDOptions{Sysfs: filepath.Join(root, "sys"), GanetiRun: root}),
		exporter.NewLoopback(exporter.LoopbackOptions{
			Reader: loopback.Options{
				Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"), CephRun: cluster.RunDir, CephLib: root, Caller: sockets,
			},
			GanetiRun: root, Shares: exporter.NewLoopbackShares(conn, rbd.Cluster{Conn: conn}),
		}))
}

func startPrometheus(t *testing.T, target string) *lab.Prometheus {
	t.Helper()
	files := make(map[string][]byte)
	for _, name := range rules.Prometheus() {
		content, err := rules.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	p, err := lab.StartPrometheus(t.Context(), lab.PrometheusOptions{
		Files: files,
		Config: fmt.Sprintf(`global: {scrape_interval: 2s, evaluation_interval: 2s}
rule_files: [%s]
scrape_configs:
  - {job_name: ceph, honor_labels: true, static_configs: [{targets: ["%s"]}]}
`, strings.Join(rules.Prometheus(), ", "), target),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	return p
}

// expressions returns all expressions by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, name := range rules.Prometheus() {
		var file struct {
			Groups []struct {
				Rules []struct{ Alert, Expr string }
			}
		}
		content, err := rules.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				found["rule "+rule.Alert] = rule.Expr
			}
		}
	}
	names, err := fs.Glob(dashboards.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		content, err := dashboards.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &board); err != nil {
			t.Fatal(err)
		}
		for _, panel := range board.Panels {
			for i, target := range panel.Targets {
				expr := strings.NewReplacer("$node", ".+", "$__rate_interval", "20s").Replace(target.Expr)
				found[fmt.Sprintf("%s, panel %s, query %d", name, panel.Title, i+1)] = expr
			}
		}
	}
	return found
}

// awaitSamples waits until an expression has samples. Stuck requests take half a minute to become so.
func awaitSamples(t *testing.T, p *lab.Prometheus, where, expr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		samples, err := p.Query(t.Context(), expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		if len(samples) > 0 || mayBeEmpty[where] != "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: empty: %s", where, expr)
			return
		}
	}
}
