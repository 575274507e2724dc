package controltest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Store keeps the state in memory. Its zero value is that of a new installation. As with the real one, what Load
// returns is the caller's own.
type Store struct {
	mu   sync.Mutex
	data []byte
	held string
}

var _ control.Store = (*Store)(nil)

// NewStore returns a store with this state.
func NewStore(t testing.TB, s *state.State) *Store {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return &Store{data: data}
}

// Load returns the state.
func (s *Store) Load() (*state.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load()
}

func (s *Store) load() (*state.State, error) {
	loaded := &state.State{Version: state.Version}
	if s.data != nil {
		if err := json.Unmarshal(s.data, loaded); err != nil {
			return nil, fmt.Errorf("read state: %w", err)
		}
	}
	if loaded.Storage == nil {
		loaded.Storage = map[string]*state.Storage{}
	}
	return loaded, nil
}

// Update changes the state. The caller must hold the lock.
func (s *Store) Update(change func(*state.State) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == "" {
		return fmt.Errorf("change state: %w", state.ErrNotLocked)
	}
	changed, err := s.load()
	if err != nil {
		return err
	}
	if err := change(changed); err != nil {
		return err
	}
	changed.Version = state.Version
	changed.Serial++
	s.data, err = json.Marshal(changed)
	return err
}

// Lock takes the lock, or says for which command it is held.
func (s *Store) Lock(_ context.Context, command string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != "" {
		return nil, fmt.Errorf("%w: %s", control.ErrLocked, s.held)
	}
	s.held = "a test: " + command
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = ""
	}), nil
}
