package exporter

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
)

// small answers of a made-up daemon, whose only logger has the counters.
func smallAnswers(counters ...string) map[string][]byte {
	var schema, dump []string
	for i, c := range counters {
		schema = append(schema, fmt.Sprintf(`%q:{"type":10,"metric_type":"counter","priority":10,"description":"Of %s."}`, c, c))
		dump = append(dump, fmt.Sprintf(`%q:%d`, c, i+1))
	}
	return map[string][]byte{
		"get_command_descriptions": []byte(`{"cmd0":{"sig":["perf","dump"]}}`),
		"perf schema":              []byte(`{"osd":{` + strings.Join(schema, ",") + `}}`),
		"perf dump":                []byte(`{"osd":{` + strings.Join(dump, ",") + `}}`),
	}
}

// hostname of this machine as a label.
func hostLabel(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}

func up(t *testing.T, s series, daemon string) float64 {
	t.Helper()
	v, ok := s[fmt.Sprintf(`ceph_daemon_socket_up{ceph_daemon=%q,hostname=%q}`, daemon, hostLabel(t))]
	if !ok {
		t.Fatalf("no ceph_daemon_socket_up of %s in %v", daemon, s)
	}
	return v
}

// Each fault costs the series of its daemon only, is logged once, and leaves nothing behind.
func TestDaemonFaults(t *testing.T) {
	harmless := map[asoktest.Fault]bool{asoktest.HangAfterAnswer: true} // the answer is whole
	for _, fault := range asoktest.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			dir := t.TempDir()
			bad := startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), smallAnswers("op"))
			startServer(t, filepath.Join(dir, "ceph-osd.1.asok"), smallAnswers("op"))
			check := leaks(t)
			var log logged
			e := New(Options{Log: log.logger(), TargetTimeout: 4 * time.Second}, NewDaemon(daemonOptions(dir)))
			before := scrape(t, e)
			if before[`ceph_osd_op{ceph_daemon="osd.0"}`] != 1 {
				t.Fatalf("no series before the fault: %v", before)
			}
			bad.SetFault(fault)
			for range 4 {
				got := scrape(t, e)
				if up(t, got, "osd.1") != 1 || got[`ceph_osd_op{ceph_daemon="osd.1"}`] != 1 {
					t.Errorf("the healthy daemon suffers: %v", got)
				}
				_, there := got[`ceph_osd_op{ceph_daemon="osd.0"}`]
				if ok := up(t, got, "osd.0") == 1; ok != harmless[fault] || there != harmless[fault] {
					t.Errorf("up is %v, series are there: %v", ok, there)
				}
			}
			if n := len(log.reasons("target=osd.0")); n != 1 && !harmless[fault] {
				t.Errorf("%d lines in the log, want 1: %v", n, log.lines())
			}
			if bad.MostAtOnce() > 1 {
				t.Errorf("%d connections at once", bad.MostAtOnce())
			}
			bad.SetFault(asoktest.None)
			eventually(t, "well again after the fault", func() bool { return up(t, scrape(t, e), "osd.0") == 1 })
			if n := len(log.lines("well again", "osd.0")); n != 1 && !harmless[fault] {
				t.Errorf("%d lines say that it is well again, want 1", n)
			}
			if log.lines("osd.1") != nil {
				t.Errorf("log of the healthy one: %v", log.lines("osd.1"))
			}
			check()
		})
	}
}

// A hung daemon holds one connection of ours, however often Prometheus asks, and is asked once.
func TestHungDaemonHasOneConnection(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), smallAnswers("op"))
	e := New(Options{TargetTimeout: 4 * time.Second}, NewDaemon(daemonOptions(dir)))
	s.SetFault(asoktest.HangBeforeAccept)
	for range 2 * asoktest.Backlog {
		if up(t, scrape(t, e), "osd.0") != 0 {
			t.Fatal("up although it hangs")
		}
	}
	s.SetFault(asoktest.None)
	eventually(t, "well again", func() bool { return up(t, scrape(t, e), "osd.0") == 1 })
	want := []string{"get_command_descriptions", "get_command_descriptions", "perf schema", "perf dump"}
	if diff := cmp.Diff(want, s.Commands()); diff != "" {
		t.Errorf("commands: the first was asked while it hung (-want +got):\n%s", diff)
	}
}

// A thousand sockets, every tenth of a daemon that hangs: the others are served in every scrape, the first one
// too, and nothing stays behind.
func TestDaemonThousandSockets(t *testing.T) {
	dir := t.TempDir()
	var all, hung []*asoktest.Server
	for i := range 1000 {
		all = append(all, startServer(t, filepath.Join(dir, fmt.Sprintf("ceph-osd.%d.asok", i)), smallAnswers("op")))
	}
	// A daemon that is well gets five times as long as all of them take on this machine.
	start := time.Now()
	scrapeWithin(t, New(Options{TargetTimeout: time.Hour}, NewDaemon(daemonOptions(dir))), "3600")
	patient := max(3*time.Second, 5*time.Since(start))
	limit := fmt.Sprint((3 * patient).Seconds())
	for i := 0; i < len(all); i += 10 {
		all[i].SetFault(asoktest.HangBeforeAccept)
		hung = append(hung, all[i])
	}
	check := leaks(t)
	var log logged
	e := New(Options{Log: log.logger(), TargetTimeout: patient}, NewDaemon(daemonOptions(dir)))
	for i := range 3 {
		got := scrapeWithin(t, e, limit)
		if n := len(got.with("ceph_osd_op")); n != 900 {
			t.Errorf("scrape %d: %d daemons gave series, want 900", i, n)
		}
		if n := len(got.with("ceph_daemon_socket_up")); n != 1000 {
			t.Errorf("scrape %d: %d daemons are said to be up or down, want 1000", i, n)
		}
	}
	if n := len(log.reasons()); n != len(hung) {
		t.Errorf("%d lines in the log, want %d", n, len(hung))
	}
	for _, s := range hung {
		s.SetFault(asoktest.None)
	}
	eventually(t, "all well", func() bool { return len(scrapeWithin(t, e, limit).with("ceph_osd_op")) == 1000 })
	check()
}

// A daemon that announces more than it gives, or hangs, scrape after scrape, takes no memory.
func TestDaemonFaultsTakeNoMemory(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), answersOf(t, "16.2", "osd"))
	e := New(Options{TargetTimeout: 500 * time.Millisecond}, NewDaemon(daemonOptions(dir)))
	eventually(t, "what stays of the schema", func() bool { return up(t, scrape(t, e), "osd.0") == 1 })
	before := liveHeap()
	for _, fault := range []asoktest.Fault{asoktest.LengthHuge, asoktest.LengthTooLarge, asoktest.BrokenJSON, asoktest.HangInAnswer} {
		s.SetFault(fault)
		for range 50 {
			e.Scrape(t.Context(), nil, discard{})
		}
	}
	s.SetFault(asoktest.None)
	if after := liveHeap(); after > before+4<<20 {
		t.Errorf("heap has grown from %d to %d bytes", before, after)
	}
}

func TestDaemonCommands(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ceph-osd.0.asok")
	answers := answersOf(t, "16.2", "osd")
	s := startServer(t, path, answers)
	opts := daemonOptions(dir)
	opts.Histograms = true
	e := New(Options{}, NewDaemon(opts))
	steps := []struct {
		name   string
		before func()
		want   []string
	}{
		{"first", func() {}, []string{"get_command_descriptions", "perf schema", "perf dump"}},
		{"later", func() {}, []string{"perf dump", "perf histogram dump"}},
		{"new logger", func() {
			answers["perf schema"] = bytes.Replace(answers["perf schema"], []byte(`{`), []byte(`{"new":{"x":{"type":10,"priority":10}},`), 1)
			answers["perf dump"] = bytes.Replace(answers["perf dump"], []byte(`{`), []byte(`{"new":{"x":1},`), 1)
			s.SetAnswers(answers)
		}, []string{"perf dump", "perf schema"}},
		{"a logger that no schema has", func() {
			answers["perf dump"] = bytes.Replace(answers["perf dump"], []byte(`{`), []byte(`{"odd":{"x":1},`), 1)
			s.SetAnswers(answers)
		}, []string{"perf dump", "perf schema"}},
		{"still", func() {}, []string{"perf dump", "perf histogram dump"}},
		{"one more", func() {
			answers["perf dump"] = bytes.Replace(answers["perf dump"], []byte(`{`), []byte(`{"odder":{"x":1},`), 1)
			s.SetAnswers(answers)
		}, []string{"perf dump", "perf schema"}},
		{"started anew", func() {
			s.Close()
			s = startServer(t, path, answers)
		}, []string{"get_command_descriptions", "perf schema", "perf dump"}},
	}
	for _, step := range steps {
		step.before()
		got := scrape(t, e)
		if up(t, got, "osd.0") != 1 {
			t.Errorf("%s: not up", step.name)
		}
		if diff := cmp.Diff(step.want, s.Commands()); diff != "" {
			t.Errorf("%s: commands (-want +got):\n%s", step.name, diff)
		}
		if s.MostAtOnce() > 1 {
			t.Errorf("%s: %d connections at once", step.name, s.MostAtOnce())
		}
	}
}

// A daemon of another release in the place of the old one: its own series and nothing of the old.
func TestDaemonUpgrade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ceph-osd.0.asok")
	s := startServer(t, path, answersOf(t, "16.2", "osd"))
	e := New(Options{}, NewDaemon(daemonOptions(dir)))
	old := scrape(t, e)
	s.Close()
	startServer(t, path, answersOf(t, "20.2", "osd"))
	got := scrape(t, e)
	fresh := scrape(t, New(Options{}, NewDaemon(daemonOptions(dir))))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fresh)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("series of the new release (-alone +after the old):\n%s", diff)
	}
	const renamed = `ceph_bluestore_commit_lat_sum{ceph_daemon="osd.0"}`
	if _, ok := old[renamed]; !ok {
		t.Fatalf("the test's own mistake: %s is not in the old release", renamed)
	}
	if _, ok := got[renamed]; ok {
		t.Errorf("%s is still there", renamed)
	}
}

// restarting is a caller whose daemon gets another process id under the same socket file, once.
type restarting struct {
	adminsocket.Client
	pid int
}

var _ DaemonCaller = (*restarting)(nil)

func (r *restarting) Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error) {
	reply, err := r.Client.Call(ctx, path, cmd, buf)
	reply.PID = r.pid
	return reply, err
}

// Another process behind the same inode, as when a file system uses numbers again: its schema is read at once.
func TestDaemonAnotherProcessBehindTheSameFile(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), smallAnswers("a", "b"))
	caller := &restarting{pid: 1}
	opts := daemonOptions(dir)
	opts.Caller = caller
	e := New(Options{}, NewDaemon(opts))
	scrape(t, e)
	s.Commands()
	caller.pid = 2
	s.SetAnswers(smallAnswers("b", "c"))
	got := scrape(t, e).with("ceph_osd_a", "ceph_osd_b", "ceph_osd_c")
	want := series{`ceph_osd_b{ceph_daemon="osd.0"}`: 1, `ceph_osd_c{ceph_daemon="osd.0"}`: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"perf dump", "get_command_descriptions", "perf schema"}, s.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestDaemonHistograms(t *testing.T) {
	dir := t.TempDir()
	startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), answersOf(t, "16.2", "osd"))
	opts := daemonOptions(dir)
	opts.Histograms, opts.Priority = true, 11 // the sums must be there although no counter is exported
	e := New(Options{}, NewDaemon(opts))
	scrape(t, e)
	got := scrape(t, e).with("ceph_osd_op_r_latency_seconds_sum", "ceph_osd_op_r_latency_seconds_count", "ceph_osd_op_r_latency_sum")
	want := series{
		`ceph_osd_op_r_latency_seconds_count{ceph_daemon="osd.0"}`: 6,
		`ceph_osd_op_r_latency_seconds_sum{ceph_daemon="osd.0"}`:   got[`ceph_osd_op_r_latency_seconds_sum{ceph_daemon="osd.0"}`],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !(got[`ceph_osd_op_r_latency_seconds_sum{ceph_daemon="osd.0"}`] > 0) {
		t.Error("the sum is not that of the latency counter")
	}
}

// A counter's name and labels may say what they like: the answer stays valid, and only we say whether a daemon is up.
func TestDaemonOddNames(t *testing.T) {
	dir := t.TempDir()
	const about = `{"type":2,"priority":10,"description":"x\ny \\ \u00e4"}`
	startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), map[string][]byte{
		"get_command_descriptions": []byte(`{"a":{"sig":["counter","dump"]},"b":{"sig":["counter","schema"]}}`),
		"counter schema": []byte(`{"a b":[{"labels":{"ceph_daemon":"x","__name__":"y","p-q":"1","p_q":"2","\u00e4":"\u00e4"},"counters":{"c":` + about + `}}],
			"daemon":[{"labels":{},"counters":{"socket_up":` + about + `}}]}`),
		"counter dump": []byte("{\"a b\":[{\"labels\":{\"ceph_daemon\":\"x\",\"__name__\":\"y\",\"p-q\":\"1\",\"p_q\":\"2\",\"\u00e4\":\"\u00e4\"},\"counters\":{\"c\":18446744073709551615}}]," +
			`"daemon":[{"labels":{},"counters":{"socket_up":7}}]}`),
	})
	got := scrape(t, New(Options{}, NewDaemon(daemonOptions(dir))))
	if got[`ceph_a_b_c{_="ä",ceph_daemon="osd.0",ceph_daemon_="x",label___name__="y",p_q="1",p_q_="2"}`] != 18446744073709551615 {
		t.Errorf("labelled counter is not as expected: %v", got.with("ceph_a_b_c"))
	}
	if up(t, got, "osd.0") != 1 {
		t.Error("the daemon says itself whether it is up")
	}
}

func TestDaemonNotANumber(t *testing.T) {
	dir := t.TempDir()
	answers := smallAnswers("a", "b", "c")
	answers["perf dump"] = []byte(`{"osd":{"a":inf,"b":nan,"c":9223372036854775808}}`)
	startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), answers)
	got := scrape(t, New(Options{}, NewDaemon(daemonOptions(dir))))
	if a, b, c := got[`ceph_osd_a{ceph_daemon="osd.0"}`], got[`ceph_osd_b{ceph_daemon="osd.0"}`], got[`ceph_osd_c{ceph_daemon="osd.0"}`]; a < 1e300 || b == b || c != 1<<63 {
		t.Errorf("got %v, %v, %v, want +Inf, NaN, 2^63", a, b, c)
	}
}

func TestDaemonStaleSockets(t *testing.T) {
	dir := t.TempDir()
	startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), smallAnswers("op")).Die()
	startServer(t, filepath.Join(dir, "ceph-client.vm.4711.94.asok"), smallAnswers("op")).Die()
	var log logged
	e := New(Options{Log: log.logger()}, NewDaemon(daemonOptions(dir)))
	for range 3 {
		got := scrape(t, e)
		if up(t, got, "osd.0") != 0 {
			t.Error("a dead OSD is up")
		}
		if left := got.about("vm.4711.94").with("ceph_daemon_socket_up", "ceph_ganeti_exporter_target_up"); len(left) != 0 {
			t.Errorf("what a dead guest left behind is told of: %v", left)
		}
	}
	if n := len(log.lines("osd.0", "dead daemon left the file behind")); n != 1 || len(log.lines()) != 1 {
		t.Errorf("log: %v", log.lines())
	}
}

// refusing is a caller for which the named daemon's socket has the wrong owner.
type refusing struct {
	DaemonCaller
	path string
}

func (r refusing) Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error) {
	if path == r.path {
		return adminsocket.Reply{}, &os.SyscallError{Syscall: "connect", Err: syscall.EACCES}
	}
	return r.DaemonCaller.Call(ctx, path, cmd, buf)
}

func TestDaemonWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), smallAnswers("op"))
	startServer(t, filepath.Join(dir, "ceph-osd.1.asok"), smallAnswers("op"))
	opts := daemonOptions(dir)
	opts.Caller = refusing{opts.Caller, filepath.Join(dir, "ceph-osd.0.asok")}
	var log logged
	e := New(Options{Log: log.logger()}, NewDaemon(opts))
	for range 3 {
		got := scrape(t, e)
		if up(t, got, "osd.0") != 0 || up(t, got, "osd.1") != 1 {
			t.Errorf("up of osd.0 and osd.1 are %v, %v", up(t, got, "osd.0"), up(t, got, "osd.1"))
		}
	}
	if len(log.lines()) != 1 || len(log.lines(fs.ErrPermission.Error())) != 1 {
		t.Errorf("log: %v", log.lines())
	}
}

func TestDaemonFilters(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"osd.0", "osd.1", "client.vm.4711.94"} {
		startServer(t, filepath.Join(dir, "ceph-"+name+".asok"), smallAnswers("op"))
	}
	for _, tt := range []struct {
		name             string
		include, exclude *regexp.Regexp
		want             []string
	}{
		{"both", regexp.MustCompile(`^osd\.`), regexp.MustCompile(`1$`), []string{"osd.0"}},
		{"no clients", nil, regexp.MustCompile(`^client\..*$`), []string{"osd.0", "osd.1"}},
		{"no client of that label", nil, regexp.MustCompile(`^vm\..*$`), []string{"osd.0", "osd.1"}},
		{"clients", regexp.MustCompile(`^client\..*$`), nil, []string{"vm.4711.94"}},
		{"client of that label", regexp.MustCompile(`^vm\..*$`), nil, []string{"vm.4711.94"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := daemonOptions(dir)
			opts.Include, opts.Exclude = tt.include, tt.exclude
			want := make(series)
			for _, daemon := range tt.want {
				want[fmt.Sprintf("ceph_osd_op{ceph_daemon=%q}", daemon)] = 1
			}
			got := scrape(t, New(Options{}, NewDaemon(opts))).with("ceph_osd_op")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Two sockets of one name, as after a move to cephadm: one of them is read, and the other is told of.
func TestDaemonOfTheSameName(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "fsid"), 0o755); err != nil {
		t.Fatal(err)
	}
	startServer(t, filepath.Join(dir, "ceph-osd.0.asok"), smallAnswers("op"))
	startServer(t, filepath.Join(dir, "fsid", "ceph-osd.0.asok"), smallAnswers("op"))
	var log logged
	e := New(Options{Log: log.logger()}, NewDaemon(daemonOptions(dir)))
	for range 2 {
		got := scrape(t, e)
		if up(t, got, "osd.0") != 1 || got[`ceph_ganeti_exporter_collector_success{collector="daemon"}`] != 0 {
			t.Errorf("got %v", got)
		}
	}
	if len(log.lines("both named osd.0")) != 1 {
		t.Errorf("log: %v", log.lines())
	}
}

// Of the two, the one that was made first is what a daemon that is gone has left, whichever comes first by its path.
func TestDaemonOfTheSameNameLives(t *testing.T) {
	for _, old := range []string{"ceph-osd.0.asok", "fsid/ceph-osd.0.asok"} {
		t.Run(old, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "fsid"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"ceph-osd.0.asok", "fsid/ceph-osd.0.asok"} {
				s := startServer(t, filepath.Join(dir, name), smallAnswers("op"))
				if name != old {
					continue
				}
				s.Die()
				hourAgo := time.Now().Add(-time.Hour)
				if err := os.Chtimes(filepath.Join(dir, name), hourAgo, hourAgo); err != nil {
					t.Fatal(err)
				}
			}
			var log logged
			got := scrape(t, New(Options{Log: log.logger()}, NewDaemon(daemonOptions(dir))))
			if up(t, got, "osd.0") != 1 || got["ceph_ganeti_exporter_daemon_sockets"] != 1 {
				t.Errorf("got %v", got)
			}
			if len(log.lines("both named osd.0")) != 1 {
				t.Errorf("log: %v", log.lines())
			}
		})
	}
}

// Two connections of one guest: its process is told of once.
func TestDaemonProcessOfTwoClients(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{"94", "95"} {
		startServer(t, filepath.Join(dir, fmt.Sprintf("ceph-client.vm.%d.%s.asok", os.Getpid(), id)), smallAnswers("op"))
	}
	got := scrape(t, New(Options{}, NewDaemon(daemonOptions(dir))))
	if n := len(got.with("ceph_osd_op")); n != 2 {
		t.Errorf("%d clients, want 2", n)
	}
	for _, name := range []string{"ceph_daemon_resident_memory_bytes", "ceph_daemon_start_time_seconds", "ceph_daemon_threads"} {
		found := got.with(name)
		if len(found) != 1 {
			t.Errorf("%s: %v, want one", name, found)
		}
		for key, value := range found {
			if !(value > 0) {
				t.Errorf("%s = %v", key, value)
			}
		}
	}
}

func TestDaemonWithoutRunDir(t *testing.T) {
	var log logged
	got := scrape(t, New(Options{Log: log.logger()}, NewDaemon(daemonOptions(filepath.Join(t.TempDir(), "none")))))
	if got[`ceph_ganeti_exporter_collector_success{collector="daemon"}`] != 1 || log.lines() != nil {
		t.Errorf("got %v, log %v", got, log.lines())
	}
}
