package e2e

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// TestDaemon stops, kills and restarts real daemons: each costs its own series and nothing else.
func TestDaemon(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	lab.RequireCeph(t)
	d := &daemonTest{ceph: startCeph(t)}
	d.exporter = exporter.New(
		// Half of what a scrape may take: a daemon that is well has to answer within it on a busy machine too.
		exporter.Options{TargetTimeout: 5 * time.Second, Log: slog.New(slog.NewTextHandler(&d.log, nil))},
		exporter.NewDaemon(exporter.DaemonOptions{
			RunDir: d.ceph.RunDir, Procfs: "/proc", Priority: 5, Histograms: true, Caller: &adminsocket.Client{},
		}))
	d.await(t, map[string]float64{"mon.a": 1, "mgr.x": 1, "osd.0": 1, "osd.1": 1, "osd.2": 1})
	t.Run("stopped OSD", d.testStopped)
	t.Run("killed OSD", d.testKilled)
	t.Run("killed mon", d.testMonKilled)
}

type daemonTest struct {
	ceph     *lab.Ceph
	exporter *exporter.Exporter
	log      lines
}

// lines is a log that a test may read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// reset forgets what was written.
func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// with returns how many lines contain the text.
func (l *lines) with(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func (d *daemonTest) scrape() map[string]map[string]float64 {
	byDaemon := make(map[string]map[string]float64)
	for s, value := range parseSeries(scrape(d.exporter)) {
		_, rest, ok := strings.Cut(s, `ceph_daemon="`)
		if !ok {
			continue
		}
		daemon, _, _ := strings.Cut(rest, `"`)
		if byDaemon[daemon] == nil {
			byDaemon[daemon] = make(map[string]float64)
		}
		name, _, _ := strings.Cut(s, "{")
		byDaemon[daemon][name] = value
	}
	return byDaemon
}

const socketUp = "ceph_daemon_socket_up"

// await scrapes until the daemons are up or down as they should be.
func (d *daemonTest) await(t *testing.T, want map[string]float64) map[string]map[string]float64 {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		got := d.scrape()
		ok := true
		for daemon, up := range want {
			if value, there := got[daemon][socketUp]; !there || value != up {
				ok = false
			}
		}
		if ok {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("want up %v, got %v", want, got)
		}
	}
}

// others checks that the other daemons give all that they gave before.
func others(t *testing.T, before, got map[string]map[string]float64, except string) {
	t.Helper()
	for daemon, series := range before {
		if daemon != except && len(got[daemon]) < len(series) {
			t.Errorf("%s gives %d series, before %d", daemon, len(got[daemon]), len(series))
		}
	}
}

// testStopped stops an OSD as a hung disk would. However often it is asked meanwhile, one connection waits in its
// queue of five, so that the administrator gets in.
func (d *daemonTest) testStopped(t *testing.T) {
	before := d.scrape()
	if len(before["osd.1"]) < 100 {
		t.Fatalf("osd.1 gives %d series only", len(before["osd.1"]))
	}
	said := d.reasons("osd.1")
	if err := d.ceph.Signal("osd.1", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		got := d.scrape()
		if value, ok := got["osd.1"][socketUp]; !ok || value != 0 || len(got["osd.1"]) != 1 {
			t.Errorf("stopped osd.1 gives %v", got["osd.1"])
		}
		others(t, before, got, "osd.1")
	}
	if n := queued(t, d.ceph.AdminSocket("osd.1")); n != 1 {
		t.Errorf("%d connections wait in the queue of the stopped OSD, want 1", n)
	}
	if n := d.reasons("osd.1") - said; n != 1 {
		t.Errorf("%d lines in the log, want 1:\n%s", n, d.log.String())
	}
	if err := d.ceph.Signal("osd.1", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got := d.await(t, map[string]float64{"osd.1": 1})
	others(t, before, got, "")
	if n := queued(t, d.ceph.AdminSocket("osd.1")); n != 0 {
		t.Errorf("%d connections wait after it went on, want none", n)
	}
}

// reasons counts the lines of the log that say why a daemon gives nothing, but for those of a call that was too slow to
// say why itself: how many of these there are is the machine's doing.
func (d *daemonTest) reasons(daemon string) int {
	n := 0
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "target="+daemon+" ") && !strings.Contains(line, "did not end before its deadline") {
			n++
		}
	}
	return n
}

// queued counts the connections of a listening socket that nobody has accepted yet: they have no inode.
func queued(t *testing.T, path string) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) == 8 && f[7] == path && f[6] == "0" {
			n++
		}
	}
	return n
}

// testKilled kills an OSD and starts it again: its counters begin anew, and its process is another one.
func (d *daemonTest) testKilled(t *testing.T) {
	before := d.scrape()
	if err := d.ceph.KillDaemon("osd.2"); err != nil {
		t.Fatal(err)
	}
	got := d.await(t, map[string]float64{"osd.2": 0})
	if len(got["osd.2"]) != 1 {
		t.Errorf("dead osd.2 gives %v", got["osd.2"])
	}
	others(t, before, got, "osd.2")
	if err := d.ceph.StartDaemon("osd.2"); err != nil {
		t.Fatal(err)
	}
	got = d.await(t, map[string]float64{"osd.2": 1})
	const start, cpu = "ceph_daemon_start_time_seconds", "ceph_daemon_cpu_seconds_total"
	if !(got["osd.2"][start] > before["osd.2"][start]) {
		t.Errorf("start time is %v, before %v", got["osd.2"][start], before["osd.2"][start])
	}
	if _, ok := got["osd.2"][cpu]; !ok {
		t.Error("no CPU time of the new process")
	}
	others(t, before, got, "osd.2")
}

func (d *daemonTest) testMonKilled(t *testing.T) {
	before := d.scrape()
	if err := d.ceph.KillDaemon("mon.a"); err != nil {
		t.Fatal(err)
	}
	got := d.await(t, map[string]float64{"mon.a": 0, "osd.0": 1, "osd.1": 1, "osd.2": 1, "mgr.x": 1})
	others(t, before, got, "mon.a")
	if err := d.ceph.StartDaemon("mon.a"); err != nil {
		t.Fatal(err)
	}
	d.await(t, map[string]float64{"mon.a": 1})
}
