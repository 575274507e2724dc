package replica

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// site is a master with a state, and nodes that keep copies.
type site struct {
	t     *testing.T
	dir   string
	store *Store
	mu    sync.Mutex
	down  map[string]bool
	sent  int
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), down: make(map[string]bool)}
	path := filepath.Join(s.dir, "master", "state.json")
	s.store = New(state.NewFile(path), Options{
		Path:  path,
		Nodes: func() ([]control.Node, error) { return []control.Node{{Name: "node2"}, {Name: "node3"}}, nil },
		Send:  s.send,
		Log:   slog.New(slog.DiscardHandler),
	})
	return s
}

func (s *site) send(ctx context.Context, n control.Node, c Copy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down[n.Name] {
		return errors.New("unreachable")
	}
	s.sent++
	c.Path = strings.Replace(c.Path, "master", n.Name, 1)
	payload, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = Handler{}.Handle(ctx, ActionKeep, payload, nil)
	return err
}

// serial is that of a node's copy.
func (s *site) serial(node string) uint64 {
	s.t.Helper()
	st, err := state.NewFile(filepath.Join(s.dir, node, "state.json")).Load()
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Serial
}

func (s *site) work(updates int) {
	s.t.Helper()
	release, err := s.store.Lock(s.t.Context(), "work")
	if err != nil {
		s.t.Fatal(err)
	}
	defer release()
	for range updates {
		if err := s.store.Update(func(*state.State) error { return nil }); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestStore has the last state on each node that answers by the time that the lock is free, and on the others later.
func TestStore(t *testing.T) {
	s := newSite(t)
	s.work(1)
	s.down["node3"] = true
	s.work(50)
	if got := s.serial("node2"); got != 51 {
		t.Errorf("node2 has version %d, want 51", got)
	}
	if got := s.serial("node3"); got != 1 {
		t.Errorf("node3, which is down, has version %d", got)
	}
	s.down["node3"] = false
	s.store.Send(t.Context())
	if got := s.serial("node3"); got != 51 {
		t.Errorf("node3, which is back, has version %d, want 51", got)
	}
}

// TestOlder keeps what is newer on a node than what comes.
func TestOlder(t *testing.T) {
	s := newSite(t)
	s.work(3)
	path := filepath.Join(s.dir, "node2", "state.json")
	if err := s.send(t.Context(), control.Node{Name: "node2"}, Copy{Path: path, State: &state.State{Version: state.Version, Serial: 2}}); err != nil {
		t.Fatal(err)
	}
	if got := s.serial("node2"); got != 3 {
		t.Errorf("node2 has version %d, want 3", got)
	}
}

func TestHandlerRefuses(t *testing.T) {
	for payload, want := range map[string]string{
		`{`: "read the copy", `{}`: "it is none", `{"path": "/x"}`: "it is none",
		`{"path": "` + filepath.Join(t.TempDir(), "state.json") + `", "state": {"version": 99}}`: "its version is 99",
	} {
		if _, err := (Handler{}).Handle(t.Context(), ActionKeep, json.RawMessage(payload), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", payload, err, want)
		}
	}
	if _, err := (Handler{}).Handle(t.Context(), "drop", nil, nil); err == nil || !strings.Contains(err.Error(), `no action is called "drop"`) {
		t.Errorf("error %v", err)
	}
}
