package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Change is a command that changes things: it plans, and the plan is carried out.
type Change struct {
	// Kind and Target tell it from others, for example "offline" and "node3". The same Kind and Target again go on
	// with what was interrupted.
	Kind, Target string
	// Command is what to type to go on after an interruption.
	Command string
	// Plan makes the plan from what is there now. It may keep in the memory what has to stay the same when it goes
	// on.
	Plan func(ctx context.Context, memory *Memory) (*Plan, error)
	// Free tells that nothing which cephctl remembers is changed, and that what fails leaves nothing behind: it takes no
	// lock, waits for no other operation, and there is nothing to go on with.
	Free bool
}

// UI is told what happens, and asked.
type UI interface {
	// Consent returns nil when the plan may be carried out. It is asked before anything is changed.
	Consent(ctx context.Context, plan *Plan) error
	// Resuming tells that an interrupted operation goes on.
	Resuming(operation *state.Operation)
	// Started, Progress and Finished tell of a step. They are called from several goroutines.
	Started(plan *Plan, step *Step)
	Progress(step *Step, text string)
	Finished(step *Step, err error)
}

// Preview returns the plan of a change and changes nothing. It takes no lock.
func (e *Env) Preview(ctx context.Context, change Change) (*Plan, error) {
	if change.Free {
		return change.Plan(ctx, NewMemory(nil))
	}
	st, err := e.Store.Load()
	if err != nil {
		return nil, err
	}
	data := map[string]string{}
	if op := st.Operation; op != nil {
		if !isSame(op, change) {
			return pending(change, op), nil
		}
		data = op.Data
	}
	return change.Plan(ctx, newMemory(nil, data))
}

// Execute plans a change and carries it out, under the lock. The plan is returned in any case when there is one, and
// with an error that wraps ErrBlocked when it has blockers. What was interrupted goes on. What has failed before it had done
// anything is forgotten.
func (e *Env) Execute(ctx context.Context, change Change, ui UI) (*Plan, error) {
	if change.Free {
		return e.executeFree(ctx, change, ui)
	}
	release, err := e.Store.Lock(ctx, change.Command)
	if err != nil {
		return nil, err
	}
	defer release()
	st, err := e.Store.Load()
	if err != nil {
		return nil, err
	}
	op := st.Operation
	switch {
	case op == nil:
		op = &state.Operation{Kind: change.Kind, Target: change.Target, Command: change.Command, Started: time.Now().UTC(), By: whoami(), Unattended: e.Unattended}
	case !isSame(op, change):
		return pending(change, op), ErrBlocked
	default:
		ui.Resuming(op)
	}
	memory := newMemory(e.Store, op.Data)
	plan, err := change.Plan(ctx, memory)
	if err != nil {
		return nil, err
	}
	if len(plan.Blockers) > 0 {
		return plan, ErrBlocked
	}
	if len(plan.Steps) == 0 {
		return plan, e.finish(st.Operation)
	}
	if err := ui.Consent(ctx, plan); err != nil {
		return plan, err
	}
	if err := e.begin(op, memory); err != nil {
		return plan, err
	}
	touched, err := e.apply(ctx, plan, ui)
	switch {
	case err == nil:
		return plan, e.finish(op)
	case !touched && st.Operation == nil && !e.Unattended && e.finish(op) == nil: // what hooks have begun has to be done all the same
		return plan, fmt.Errorf("%w\nnothing was done, and there is nothing to go on with", err)
	}
	return plan, fmt.Errorf("%w\nto go on, run this again: %s\nto give it up: cephctl storage cancel", err, op.Command)
}

// executeFree is Execute for a change that is free.
func (e *Env) executeFree(ctx context.Context, change Change, ui UI) (*Plan, error) {
	plan, err := change.Plan(ctx, NewMemory(nil))
	switch {
	case err != nil:
		return nil, err
	case len(plan.Blockers) > 0:
		return plan, ErrBlocked
	case len(plan.Steps) == 0:
		return plan, nil
	}
	if err := ui.Consent(ctx, plan); err != nil {
		return plan, err
	}
	free := *e
	free.forgets = true
	_, err = free.apply(ctx, plan, ui)
	return plan, err
}

// isSame tells whether a change is the operation that was begun.
func isSame(op *state.Operation, change Change) bool {
	return op.Kind == change.Kind && op.Target == change.Target
}

// CasePending is the case of the one blocker of a plan that was not made, as another operation is under way.
const CasePending = "operation-pending"

// pending is the plan of a change that has to wait for another.
func pending(change Change, op *state.Operation) *Plan {
	plan := &Plan{Title: change.Command}
	plan.Block("", CasePending, fmt.Sprintf("finish it with %q, or give it up with \"cephctl storage cancel\"", op.Command),
		"another operation of %s was begun at %s and not finished", op.By, op.Started.Local().Format(time.DateTime))
	return plan
}

// begin remembers the operation before its first step.
func (e *Env) begin(op *state.Operation, memory *Memory) error {
	err := e.Store.Update(func(st *state.State) error {
		op.Data = memory.all()
		st.Operation = op
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember the operation: %w", err)
	}
	memory.persist()
	return nil
}

// finish forgets the operation.
func (e *Env) finish(op *state.Operation) error {
	if op == nil {
		return nil
	}
	err := e.Store.Update(func(st *state.State) error {
		st.Operation = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget the operation: %w", err)
	}
	return nil
}

// whoami returns who runs this, as "root@node1".
func whoami() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return name + "@" + host
}

// Cancelled tells whether an error comes from an interruption by the user.
func Cancelled(err error) bool { return errors.Is(err, context.Canceled) }
