package control

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

// Question is what the agent of a node is to do.
type Question struct {
	// Part is the storage type that is to do it, or the part of cephctl where that makes no difference.
	Part, Action string
	Payload      any
	// Timeout bounds it.
	Timeout time.Duration
}

// Ask has the agent of a node carry out an action, and decodes what it answers into result, unless that is nil. The
// commands that the agent runs go into the log, and what takes its time to progress, unless that is nil.
func (e *Env) Ask(ctx context.Context, n Node, q Question, result any, progress func(string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, q.Timeout, fmt.Errorf("no answer within %s", q.Timeout))
	defer cancel()
	body, err := json.Marshal(q.Payload)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	request := agent.Request{Protocol: agent.Protocol, Version: e.Version, Storage: q.Part, Action: q.Action, Payload: body}
	answer, err := e.Transport.Call(ctx, n, request, func(event agent.Event) {
		switch {
		case event.Kind == agent.KindRun:
			e.Log.Info("run", "node", n.Name, "command", event.Text)
		case event.Kind == agent.KindProgress && progress != nil:
			progress(event.Text)
		}
	})
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
