package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
			ctx, cancel := context.WithTimeout(t.Context(), 100_000_000)
			defer cancel()
			check := LeaderCheck{Mode: test.mode, CephRun: makeSockets(t, test.sockets...), Caller: test.mons}
			leads, reason, err := check.Leads(ctx)
			if leads != test.leads || reason != test.reason || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("%v, %q, %v, want %v, %q, %v", leads, reason, err, test.leads, test.reason, test.err)
			}
		})
	}
}

func TestLeaderCheckBrokenAnswer(t *testing.T) {
	check := LeaderCheck{Mode: ClusterAuto, CephRun: makeSockets(t, "ceph-mon.a.asok"), Caller: fakeMons{"ceph-mon.a.asok": "{}"}}
	if _, _, err := check.Leads(t.Context()); err == nil {
		t.Error("no error")
	}
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
