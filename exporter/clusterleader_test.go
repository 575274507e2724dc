package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// fakeMons answers for the mons of a node by the names of their sockets: a state, or an error.
type fakeMons map[string]any

var _ DaemonCaller = fakeMons{}

func (f fakeMons) Call(ctx context.Context, path string, cmd adminsocket.Command, _ []byte) (adminsocket.Reply, error) {
	if cmd != adminsocket.MonStatus {
		return adminsocket.Reply{}, fmt.Errorf("unexpected command %s", cmd)
	}
	switch answer := f[filepath.Base(path)].(type) {
	case error:
		return adminsocket.Reply{}, fmt.Errorf("ask %s: %w", path, answer)
	case string:
		return adminsocket.Reply{Data: []byte(answer)}, nil
	}
	<-ctx.Done()
	return adminsocket.Reply{}, ctx.Err()
}

func state(state string) string { return `{"name":"a","rank":0,"state":"` + state + `"}` }

// makeSockets makes socket files of the given names below a folder as short as the system wants it.
func makeSockets(t *testing.T, names ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	return dir
}

func TestLeaderCheck(t *testing.T) {
	const a, b, osd = "ceph-mon.a.asok", "ceph-mon.b.asok", "ceph-osd.0.asok"
	const inFSID = "41b3ef0b-5a87-4357-a372-faae0d016fb6/" + a
	for _, test := range []struct {
		name    string
		mode    ClusterMode
		sockets []string
		mons    fakeMons
		leads   bool
		reason  string
		err     error
	}{
		{"always", ClusterAlways, nil, nil, true, "always", nil},
		{"never", ClusterNever, []string{a}, fakeMons{a: state("leader")}, false, "never", nil},
		{"leader", ClusterAuto, []string{a, osd}, fakeMons{a: state("leader")}, true, "leader", nil},
		{"leader of cephadm", ClusterAuto, []string{inFSID}, fakeMons{a: state("leader")}, true, "leader", nil},
		{"peon", ClusterAuto, []string{a}, fakeMons{a: state("peon")}, false, "peon", nil},
		{"electing", ClusterAuto, []string{a}, fakeMons{a: state("electing")}, false, "peon", nil},
		{"no mon", ClusterAuto, []string{osd}, nil, false, "no_mon", nil},
		{"no folder", ClusterAuto, nil, nil, false, "no_mon", nil},
		{"dead mon", ClusterAuto, []string{a}, fakeMons{a: syscall.ECONNREFUSED}, false, "no_mon", nil},
		{"mon that vanished", ClusterAuto, []string{a}, fakeMons{a: fs.ErrNotExist}, false, "no_mon", nil},
		{"no permission", ClusterAuto, []string{a}, fakeMons{a: fs.ErrPermission}, false, "no_mon", fs.ErrPermission},
		{"hung mon", ClusterAuto, []string{a}, fakeMons{a: nil}, false, "no_mon", context.DeadlineExceeded},
		{"leader beside a hung mon", ClusterAuto, []string{a, b}, fakeMons{a: nil, b: state("leader")}, true, "leader", nil},
		{"leader beside a peon", ClusterAuto, []string{a, b}, fakeMons{a: state("peon"), b: state("leader")}, true, "leader", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			check := LeaderCheck{Mode: test.mode, CephRun: makeSockets(t, test.sockets...), Caller: test.mons}
			synctest.Test(t, func(t *testing.T) {
				leads, reason, err := check.Leads(within(t, time.Second))
				if leads != test.leads || reason != test.reason || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
					t.Errorf("%v, %q, %v, want %v, %q, %v", leads, reason, err, test.leads, test.reason, test.err)
				}
			})
		})
	}
}

func TestLeaderCheckBrokenAnswer(t *testing.T) {
	check := LeaderCheck{Mode: ClusterAuto, CephRun: makeSockets(t, "ceph-mon.a.asok"), Caller: fakeMons{"ceph-mon.a.asok": "{}"}}
	if _, _, err := check.Leads(t.Context()); err == nil {
		t.Error("no error")
	}
}

// countedCalls counts the commands that a daemon is asked.
type countedCalls struct {
	DaemonCaller
	mu   sync.Mutex
	seen []string
}

func (c *countedCalls) Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error) {
	c.mu.Lock()
	c.seen = append(c.seen, cmd.String())
	c.mu.Unlock()
	return c.DaemonCaller.Call(ctx, path, cmd, buf)
}

// commands returns what was asked since the last time.
func (c *countedCalls) commands() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	slices.Sort(seen)
	return seen
}

// With all collectors on, a mon is asked its counters and once who leads: three commands at most, in its first scrape
// too.
func TestCommandsOfScrape(t *testing.T) {
	for _, leads := range []string{"leader", "peon"} {
		t.Run(leads, func(t *testing.T) {
			answers := answerTable(smallAnswers("op"))
			answers["mon_status"] = []byte(state(leads))
			dir := makeSockets(t, "ceph-mon.a.asok")
			synctest.Test(t, func(t *testing.T) {
				caller := &countedCalls{DaemonCaller: answers}
				leader := LeaderCheck{Mode: ClusterAuto, CephRun: dir, Caller: caller}.Shared()
				opts := daemonOptions(dir)
				opts.Caller = caller
				rbd := (&fakeRBD{}).options(ClusterAuto)
				rbd.Leader = leader
				images := NewRBD(rbd)
				defer images.Close()
				e := New(Options{}, NewDaemon(opts), NewCluster(ClusterOptions{Leader: leader, Runner: fakeRunner{}}), images)
				for i, want := range [][]string{
					{"get_command_descriptions", "mon_status", "perf schema"}, {"mon_status", "perf dump"},
				} {
					scrape(t, e)
					if diff := cmp.Diff(want, caller.commands()); diff != "" {
						t.Errorf("scrape %d (-want +got):\n%s", i, diff)
					}
					time.Sleep(15 * time.Second)
				}
			})
		})
	}
}

// answerTable answers for every daemon by command.
type answerTable map[string][]byte

func (a answerTable) Call(_ context.Context, _ string, cmd adminsocket.Command, _ []byte) (adminsocket.Reply, error) {
	answer, ok := a[cmd.String()]
	if !ok {
		return adminsocket.Reply{}, adminsocket.ErrRefused
	}
	return adminsocket.Reply{Data: slices.Clone(answer)}, nil
}

// An error is told to whoever asked; the next one asks anew.
func TestSharedLeaderCheckAfterError(t *testing.T) {
	const a = "ceph-mon.a.asok"
	mons := fakeMons{a: fs.ErrPermission}
	check := LeaderCheck{Mode: ClusterAuto, CephRun: makeSockets(t, a), Caller: mons}.Shared()
	if _, _, err := check.Leads(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v, want %v", err, fs.ErrPermission)
	}
	mons[a] = state("leader")
	if leads, _, err := check.Leads(t.Context()); !leads || err != nil {
		t.Errorf("leads is %v, error %v", leads, err)
	}
}

// Who waits for another's question to a mon that hangs does so no longer than he may.
func TestSharedLeaderCheckWaits(t *testing.T) {
	const a = "ceph-mon.a.asok"
	dir := makeSockets(t, a)
	synctest.Test(t, func(t *testing.T) {
		check := LeaderCheck{Mode: ClusterAuto, CephRun: dir, Caller: fakeMons{a: nil}}.Shared()
		long, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { _, _, _ = check.Leads(long) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := check.Leads(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the deadline", err)
		}
	})
}

// A node that does not lead asks the cluster nothing.
func TestClusterOnPeon(t *testing.T) {
	collector := NewCluster(ClusterOptions{
		Leader: LeaderCheck{
			Mode: ClusterAuto, CephRun: makeSockets(t, "ceph-mon.a.asok"), Caller: fakeMons{"ceph-mon.a.asok": state("peon")},
		},
		Runner: fakeRunner{}, // it has no answers
	})
	got := string(ownFamilies(t, collector))
	want := `ceph_ganeti_exporter_cluster_collecting{reason="peon"} 0`
	if !strings.Contains(got, want) || strings.Count(got, "# TYPE") != 1 {
		t.Errorf("got\n%s\nwant only %s", got, want)
	}
}
