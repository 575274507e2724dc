package node

import (
	"context"
	"encoding/json"
	"fmt"
)

// Actions that a Handler knows, and the payload that each takes.
const (
	ActionObserve  = "observe"   // a Query; answers Facts
	ActionInit     = "init"      // an Object
	ActionRemove   = "remove"    // a Removal
	ActionStart    = "start"     // a list of Daemon
	ActionNodeInfo = "node-info" // the content of node.json
)

// Handler does what a master asks of the host.
type Handler struct{ Host *Host }

// Handle carries out one action and returns its answer, or nil when it has none.
func (h Handler) Handle(
	ctx context.Context, action string, payload json.RawMessage, progress func(string),
) (any, error) {
	switch action {
	case ActionObserve:
		query, err := decode[Query](payload)
		if err != nil {
			return nil, err
		}
		return h.Host.Observe(ctx, query)
	case ActionInit:
		obj, err := decode[Object](payload)
		if err != nil {
			return nil, err
		}
		return nil, h.Host.Init(ctx, obj, progress)
	case ActionRemove:
		removal, err := decode[Removal](payload)
		if err != nil {
			return nil, err
		}
		return nil, h.Host.Remove(ctx, removal, progress)
	case ActionStart:
		daemons, err := decode[[]Daemon](payload)
		if err != nil {
			return nil, err
		}
		return nil, h.Host.Start(ctx, daemons, progress)
	case ActionNodeInfo:
		return nil, h.Host.WriteNodeInfo(ctx, payload)
	}
	return nil, fmt.Errorf("unknown action %q: known are %s, %s, %s, %s, %s", action,
		ActionObserve, ActionInit, ActionRemove, ActionStart, ActionNodeInfo)
}

// decode reads a payload. Its error does not quote it: it may hold secrets.
func decode[T any](payload json.RawMessage) (T, error) {
	var value T
	if len(payload) == 0 {
		return value, nil
	}
	if err := json.Unmarshal(payload, &value); err != nil {
		return value, fmt.Errorf("read payload: %w", err)
	}
	return value, nil
}
