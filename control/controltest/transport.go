// Package controltest has stand-ins for what plans are made and carried out with: nodes that are functions, commands
// with scripted answers, a state in memory.
package controltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

// Node answers as the agent of a node. An error becomes what the agent tells, unless it wraps control.ErrUnreachable:
// then the node has not answered.
type Node func(request agent.Request) (any, error)

// Transport reaches nodes that are functions. Nodes without one are unreachable.
type Transport struct {
	// Nodes are by name. They may be called from several goroutines at once.
	Nodes map[string]Node

	mu    sync.Mutex
	calls []Call
}

// Call is a call that was made.
type Call struct {
	Node    string
	Request agent.Request
}

var _ control.Transport = (*Transport)(nil)

// Call has the node's function answer. The events are a hello, as from a real agent.
func (t *Transport) Call(
	ctx context.Context, node control.Node, request agent.Request, events func(agent.Event),
) (json.RawMessage, error) {
	t.mu.Lock()
	t.calls = append(t.calls, Call{Node: node.Name, Request: request})
	t.mu.Unlock()
	answer, ok := t.Nodes[node.Name]
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", node.Name, control.ErrUnreachable, err)
	}
	if !ok {
		return nil, fmt.Errorf("call %s: %w", node.Name, control.ErrUnreachable)
	}
	result, err := answer(request)
	if errors.Is(err, control.ErrUnreachable) {
		return nil, fmt.Errorf("call %s: %w", node.Name, err)
	}
	if events != nil {
		events(agent.Event{Kind: agent.KindHello, Version: request.Version, Protocol: agent.Protocol, Host: node.Name})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node.Name, &agent.Error{Host: node.Name, Text: err.Error()})
	}
	return json.Marshal(result)
}

// Calls returns the calls that were made, in order.
func (t *Transport) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.calls)
}
