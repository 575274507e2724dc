package e2e

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	goceph "github.com/ceph/go-ceph/rados"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// What a scrape says of the targets of the cluster collector.
const (
	monUp   = `ceph_ganeti_exporter_target_up{collector="cluster",target="mon"} 1`
	monDown = `ceph_ganeti_exporter_target_up{collector="cluster",target="mon"} 0`
	mgrUp   = `ceph_ganeti_exporter_target_up{collector="cluster",target="mgr"} 1`
	mgrDown = `ceph_ganeti_exporter_target_up{collector="cluster",target="mgr"} 0`
)

// TestCluster runs the cluster collector with the documented key on a cluster to which everything happens.
func TestCluster(t *testing.T) {
	lab.RequireCeph(t)
	cluster := startCeph(t)
	c := &clusterTest{cluster: cluster, options: exporterOptions(t, cluster)}
	before := countResources(t)
	conn := rados.New(c.options)
	t.Cleanup(conn.Close)
	c.auto = clusterExporter(conn, exporter.LeaderCheck{
		Mode: exporter.ClusterAuto, CephRun: cluster.RunDir, Caller: &adminsocket.Client{},
	}, slog.New(slog.DiscardHandler))
	c.always = clusterExporter(conn, exporter.LeaderCheck{Mode: exporter.ClusterAlways}, slog.New(slog.DiscardHandler))

	t.Run("commands are read-only", func(t *testing.T) { testCommandsAreReadOnly(t, conn) })
	if connected := countResources(t); connected.threads < before.threads+5 {
		t.Errorf("a connection has %d threads with names", connected.threads-before.threads)
	}
	t.Run("leader", c.testLeader)
	t.Run("flag", c.testFlag)
	t.Run("pool", c.testPool)
	t.Run("OSD", c.testOSD)
	t.Run("no mgr", c.testNoMgr)
	t.Run("hung mon", c.testHungMon)
	t.Run("no mon", c.testNoMon)
	t.Run("wrong key", c.testWrongKey)
	t.Run("no answer", c.testNoAnswer)

	conn.Close()
	awaitResources(t, before)
}

type clusterTest struct {
	cluster      *lab.Ceph
	options      rados.Options
	auto, always http.Handler
}

func clusterExporter(conn *rados.Conn, leader exporter.LeaderCheck, log *slog.Logger) http.Handler {
	return exporter.New(exporter.Options{Log: log}, exporter.NewCluster(exporter.ClusterOptions{Leader: leader, Runner: conn}))
}

func (c *clusterTest) ceph(t *testing.T, args ...string) {
	t.Helper()
	if _, err := c.cluster.Ceph(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// testCommandsAreReadOnly asks the mons and the mgr what each command of the allow-list needs.
func testCommandsAreReadOnly(t *testing.T, conn *rados.Conn) {
	request := []byte(`{"prefix":"get_command_descriptions"}`)
	needed := make(map[string]string)
	for _, ask := range []func(*goceph.Conn) ([]byte, error){
		func(c *goceph.Conn) ([]byte, error) { out, _, err := c.MonCommand(request); return out, err },
		func(c *goceph.Conn) ([]byte, error) { out, _, err := c.MgrCommand([][]byte{request}); return out, err },
	} {
		out, err := rados.Call(t.Context(), conn, "descriptions", ask)
		if err != nil {
			t.Fatal(err)
		}
		var descriptions map[string]struct {
			Sig  []any  `json:"sig"`
			Perm string `json:"perm"`
		}
		if err := json.Unmarshal(out, &descriptions); err != nil {
			t.Fatal(err)
		}
		for _, d := range descriptions {
			var words []string
			for _, part := range d.Sig {
				if word, ok := part.(string); ok {
					words = append(words, word)
				}
			}
			needed[strings.Join(words, " ")] = d.Perm
		}
	}
	for _, cmd := range rados.Commands() {
		if perm := needed[cmd.String()]; perm != "r" {
			t.Errorf("%s needs %q, want r", cmd, perm)
		}
	}
}

func (c *clusterTest) testLeader(t *testing.T) {
	await(t, c.auto, []string{
		`ceph_ganeti_exporter_cluster_collecting{reason="leader"} 1`, monUp, mgrUp,
		`ceph_mon_quorum_status{ceph_daemon="mon.a"} 1`,
		`ceph_mgr_status{ceph_daemon="mgr.x"} 1`,
		`ceph_osd_up{ceph_daemon="osd.2"} 1`,
	}, nil)
	empty := clusterExporter(nil, exporter.LeaderCheck{
		Mode: exporter.ClusterAuto, CephRun: t.TempDir(), Caller: &adminsocket.Client{},
	}, slog.New(slog.DiscardHandler))
	await(t, empty, []string{`ceph_ganeti_exporter_cluster_collecting{reason="no_mon"} 0`}, []string{"ceph_health_status"})
}

func (c *clusterTest) testFlag(t *testing.T) {
	await(t, c.auto, []string{`ceph_osd_flag_noout 0`}, nil)
	c.ceph(t, "osd", "set", "noout")
	await(t, c.auto, []string{`ceph_osd_flag_noout 1`, `ceph_health_detail{name="OSDMAP_FLAGS",severity="HEALTH_WARN"} 1`}, nil)
	c.ceph(t, "osd", "unset", "noout")
	await(t, c.auto, []string{`ceph_osd_flag_noout 0`}, []string{`ceph_health_detail{name="OSDMAP_FLAGS"`})
}

func (c *clusterTest) testPool(t *testing.T) {
	create := func() string {
		c.ceph(t, "osd", "pool", "create", "brief", "4", "4", "--autoscale-mode=off")
		out, err := c.cluster.Ceph(t.Context(), "osd", "pool", "stats", "brief", "-f", "json")
		if err != nil {
			t.Fatal(err)
		}
		var pools []struct {
			ID json.Number `json:"pool_id"`
		}
		if err := json.Unmarshal(out, &pools); err != nil || len(pools) != 1 {
			t.Fatalf("pools %s: %v", out, err)
		}
		return `{pool_id="` + pools[0].ID.String() + `"}`
	}
	first := create()
	await(t, c.auto, []string{"ceph_pg_total" + first + " 4", "ceph_pg_clean" + first + " 4", "ceph_pool_stored" + first + " 0"}, nil)
	if err := c.cluster.DeletePool(t.Context(), "brief"); err != nil {
		t.Fatal(err)
	}
	gone := []string{"ceph_pg_total" + first, "ceph_pg_clean" + first, "ceph_pool_stored" + first, "ceph_pool_rd" + first}
	await(t, c.auto, nil, gone)
	second := create()
	await(t, c.auto, []string{"ceph_pg_total" + second + " 4", "ceph_pg_clean" + second + " 4", "ceph_pool_stored" + second + " 0"}, gone)
}

func (c *clusterTest) testOSD(t *testing.T) {
	if err := c.cluster.StopDaemon("osd.2"); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{
		`ceph_osd_up{ceph_daemon="osd.2"} 0`, `ceph_osd_in{ceph_daemon="osd.2"} 1`, `ceph_osd_up{ceph_daemon="osd.1"} 1`,
		`ceph_health_detail{name="OSD_DOWN",severity="HEALTH_WARN"} 1`,
	}, nil)
	if err := c.cluster.StartDaemon("osd.2"); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{`ceph_osd_up{ceph_daemon="osd.2"} 1`}, []string{`ceph_health_detail{name="OSD_DOWN"`})
}

// Without a mgr the mons still tell the usage that they heard of last. It must not be taken for the present one.
func (c *clusterTest) testNoMgr(t *testing.T) {
	if err := c.cluster.KillDaemon("mgr.x"); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{monUp, mgrDown, `ceph_osd_up{ceph_daemon="osd.0"} 1`},
		[]string{"ceph_pg_", "ceph_pool_stored", "ceph_cluster_total_bytes", "ceph_osd_apply_latency_ms"})
	if err := c.cluster.StartDaemon("mgr.x"); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{monUp, mgrUp}, nil)
}

// A mon that hangs is not the leader any more, and who asks it all the same is kept waiting no longer than it wants.
func (c *clusterTest) testHungMon(t *testing.T) {
	if err := c.cluster.Signal("mon.a", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer c.cluster.Signal("mon.a", syscall.SIGCONT)
	await(t, c.auto, []string{`ceph_ganeti_exporter_cluster_collecting{reason="no_mon"} 0`}, []string{"ceph_health_status"})
	for range 3 {
		await(t, c.always, []string{monDown}, []string{"ceph_health_status", "ceph_osd_up"})
	}
	if err := c.cluster.Signal("mon.a", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{`ceph_ganeti_exporter_cluster_collecting{reason="leader"} 1`, monUp, mgrUp}, nil)
	await(t, c.always, []string{monUp, mgrUp}, nil)
}

func (c *clusterTest) testNoMon(t *testing.T) {
	if err := c.cluster.KillDaemon("mon.a"); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{`ceph_ganeti_exporter_cluster_collecting{reason="no_mon"} 0`}, []string{"ceph_health_status"})
	await(t, c.always, []string{monDown}, []string{"ceph_health_status", "ceph_osd_up"})
	if err := c.cluster.StartDaemon("mon.a"); err != nil {
		t.Fatal(err)
	}
	await(t, c.auto, []string{monUp, mgrUp}, nil)
}

// The log says what is wrong and what to do, once and without the key. When it is set right, the next scrape is.
func (c *clusterTest) testWrongKey(t *testing.T) {
	right, err := os.ReadFile(c.options.Keyring)
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.cluster.Ceph(t.Context(), "auth", "get-or-create", "client.other", "mon", "allow r")
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.ReplaceAll(other, []byte("client.other"), []byte("client."+exporterUser))
	options := c.options
	options.Keyring = filepath.Join(t.TempDir(), "keyring")
	var log lines
	conn := rados.New(options)
	defer conn.Close()
	always := clusterExporter(conn, exporter.LeaderCheck{Mode: exporter.ClusterAlways}, slog.New(slog.NewTextHandler(&log, nil)))

	for _, step := range []struct {
		keyring []byte
		said    string
	}{
		{nil, "no keyring at " + options.Keyring},
		{other, "has no key of client." + exporterUser},
		{wrong, "the mons refuse the key in " + options.Keyring},
	} {
		if step.keyring != nil {
			if err := os.WriteFile(options.Keyring, step.keyring, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		awaitLogged(t, always, &log, step.said, 2)
		for range 3 {
			await(t, always, []string{monDown, mgrDown}, []string{"ceph_health_status"})
		}
		if n := log.with(step.said); n != 2 {
			t.Errorf("%q is in the log %d times, want once for each of the two targets:\n%s", step.said, n, log.String())
		}
	}
	if err := os.WriteFile(options.Keyring, right, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, always, []string{monUp, mgrUp}, nil)
	for _, keyring := range [][]byte{right, other} {
		_, key, _ := strings.Cut(string(keyring), "key = ")
		if strings.Contains(log.String(), strings.TrimSpace(key)) {
			t.Error("a key is in the log")
		}
	}
}

// Nobody is at the address of the mon, and nothing says so.
func (c *clusterTest) testNoAnswer(t *testing.T) {
	options := c.options
	options.Config = filepath.Join(t.TempDir(), "ceph.conf")
	conf := "[global]\nmon host = [v2:192.0.2.1:3300,v1:192.0.2.1:6789]\n"
	if err := os.WriteFile(options.Config, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var log lines
	conn := rados.New(options)
	defer conn.Close()
	always := clusterExporter(conn, exporter.LeaderCheck{Mode: exporter.ClusterAlways}, slog.New(slog.NewTextHandler(&log, nil)))
	for range 2 {
		await(t, always, []string{monDown, mgrDown}, []string{"ceph_health_status"})
	}
	awaitLogged(t, always, &log, "no mon answers", 1)
}

// awaitLogged scrapes until the log has a text so many times. A busy machine may have given another reason first.
func awaitLogged(t *testing.T, exporter http.Handler, log *lines, text string, times int) {
	t.Helper()
	for deadline := time.Now().Add(patience); log.with(text) < times; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is in the log %d times, want %d:\n%s", text, log.with(text), times, log.String())
		}
		scrape(exporter)
	}
}

// resources are what a fault must not leave behind. Threads are those of librados, which give themselves names: how many
// others the Go runtime has depends on the machine.
type resources struct{ goroutines, descriptors, threads int }

func countResources(t *testing.T) resources {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		t.Fatal(err)
	}
	threads, own := 0, read(t, "/proc/self/comm")
	for _, name := range names {
		if comm, err := os.ReadFile(name); err == nil && string(comm) != own { // else it has ended
			threads++
		}
	}
	return resources{runtime.NumGoroutine(), len(files), threads}
}

// awaitResources waits until no more is in use than before.
func awaitResources(t *testing.T, before resources) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		after := countResources(t)
		if after.goroutines <= before.goroutines && after.descriptors <= before.descriptors && after.threads <= before.threads {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in use before %+v, after %+v", before, after)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
