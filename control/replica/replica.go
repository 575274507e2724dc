// Package replica keeps copies of the state on the nodes that may become the master: what was begun there goes on on any of
// them.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

const (
	// Name is the part of cephctl that an agent is asked for.
	Name = "state"
	// ActionKeep has a node keep a copy.
	ActionKeep = "keep"
	// sendTimeout is how long a node may take. One that does not answer gets the next version.
	sendTimeout = 20 * time.Second
)

// Copy is what a node is to keep.
type Copy struct {
	// Path is that of the state on the master, and on the node.
	Path  string       `json:"path"`
	State *state.State `json:"state"`
}

// Store is a store whose state is copied to other nodes whenever it was written. Copies go out beside the work, the
// newest one only; when the lock is released, the last one is there.
type Store struct {
	control.Store
	path  string
	nodes func() ([]control.Node, error)
	send  func(ctx context.Context, node control.Node, c Copy) error
	log   *slog.Logger

	mu   sync.Mutex
	work sync.WaitGroup
	// busy tells that a copy is on its way, again that there is a newer one.
	busy, again bool
}

// Options say where the copies go.
type Options struct {
	// Path is that of the state's file.
	Path string
	// Nodes returns the nodes that are to have a copy.
	Nodes func() ([]control.Node, error)
	// Send brings it to one of them: [Ask] with an agent.
	Send func(ctx context.Context, node control.Node, c Copy) error
	Log  *slog.Logger
}

// New returns a store that copies what another one keeps.
func New(store control.Store, o Options) *Store {
	return &Store{Store: store, path: o.Path, nodes: o.Nodes, send: o.Send, log: o.Log}
}

// Ask has the agent of a node keep a copy.
func Ask(ctx context.Context, env *control.Env, node control.Node, c Copy) error {
	return env.Ask(ctx, node, control.Question{Part: Name, Action: ActionKeep, Payload: c, Timeout: sendTimeout}, nil, nil)
}

// Update implements control.Store.
func (s *Store) Update(change func(*state.State) error) error {
	if err := s.Store.Update(change); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again = s.busy; !s.busy {
		s.busy = true
		s.work.Go(s.sendAll)
	}
	return nil
}

// Lock implements control.Store.
func (s *Store) Lock(ctx context.Context, command string) (release func(), err error) {
	free, err := s.Store.Lock(ctx, command)
	if err != nil {
		return nil, err
	}
	return func() {
		s.work.Wait()
		free()
	}, nil
}

// sendAll sends copies until none is newer. What was interrupted is copied all the same, each node for its time at
// most.
func (s *Store) sendAll() {
	for {
		s.Send(context.Background())
		s.mu.Lock()
		more := s.again
		s.again, s.busy = false, more
		s.mu.Unlock()
		if !more {
			return
		}
	}
}

// Send sends the state to all nodes at once. What fails is in the log: a node that is down must not stop the work on
// others.
func (s *Store) Send(ctx context.Context) {
	st, err := s.Load()
	if err != nil {
		s.log.Warn("the state is not copied", "error", err)
		return
	}
	nodes, err := s.nodes()
	if err != nil {
		s.log.Warn("the state is not copied", "error", err)
		return
	}
	var sent sync.WaitGroup
	for _, n := range nodes {
		sent.Go(func() {
			if err := s.send(ctx, n, Copy{Path: s.path, State: st}); err != nil {
				s.log.Warn("the state is not copied", "node", n.Name, "error", err)
			}
		})
	}
	sent.Wait()
}

// Handler is the other end, on a node. It implements agent.Handler.
type Handler struct{}

// Lock implements agent.Locker: what an agent does at the same time need not be over.
func (Handler) Lock(string, json.RawMessage) string { return "" }

// Handle implements agent.Handler.
func (Handler) Handle(ctx context.Context, action string, payload json.RawMessage, _ func(string)) (any, error) {
	if action != ActionKeep {
		return nil, fmt.Errorf("state: no action is called %q", action)
	}
	var c Copy
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, fmt.Errorf("read the copy of the state: %w", err)
	}
	if c.Path == "" || c.State == nil {
		return nil, errors.New("read the copy of the state: it is none")
	}
	return nil, state.NewFile(c.Path).Keep(ctx, c.State)
}
