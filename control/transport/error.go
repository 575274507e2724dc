package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// Error is the error when a node has not answered, or was lost before it had told how it ended.
type Error struct {
	Node string
	// Text is what is wrong, Cure what to do next: one line each.
	Text string
	Cure string
	// Answered says that the agent has begun, so that it may be at work still.
	Answered bool
	// Refused says that the node is up, though no agent has begun.
	Refused bool
	// Err is where it comes from.
	Err error
}

// Error returns it as one line.
func (e *Error) Error() string { return "reach " + e.Node + ": " + e.Text + ": " + e.Cure }

// Unwrap returns control.ErrUnreachable, if no agent has answered, control.ErrRefused, if the node is up, and what it comes from.
func (e *Error) Unwrap() []error {
	var errs []error
	if !e.Answered {
		errs = append(errs, control.ErrUnreachable)
	}
	if e.Refused {
		errs = append(errs, control.ErrRefused)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// call is what has come of a call.
type call struct {
	node    control.Node
	user    string
	started time.Time
	// here says that the node is this host.
	here bool
	// greeted says that the agent has answered, answer how its answer ended, process how the command did.
	greeted         bool
	answer, process error
}

func (c *call) err(ctx context.Context) error {
	var told *agent.Error
	if errors.As(c.answer, &told) {
		return fmt.Errorf("%s: %w", c.node.Name, told)
	}
	e := &Error{Node: c.node.Name, Answered: c.greeted, Err: errors.Join(c.answer, c.process)}
	switch {
	case ctx.Err() != nil:
		e.Text, e.Cure = c.late(ctx)
	case c.greeted:
		e.Text, e.Cure = c.lost()
	default:
		e.Text, e.Cure = c.unheard()
		e.Refused = c.isUp()
	}
	return e
}

// late is when ctx has ended.
func (c *call) late(ctx context.Context) (text, cure string) {
	after := time.Since(c.started).Round(time.Second)
	if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		text = "given up after " + after.String()
	} else if text = fmt.Sprintf("no answer within %s", after); c.greeted {
		text = fmt.Sprintf("no result within %s", after)
	}
	if c.greeted {
		return text, "its agent may still be at work; the same command goes on from there"
	}
	return text, c.try()
}

// lost is when the agent had answered and then went away.
func (c *call) lost() (text, cure string) {
	const again = "run the same command again"
	var end *run.Error
	if !errors.As(c.process, &end) {
		return "its agent has " + c.answer.Error(), again
	}
	if sig := signalOf(end); sig != 0 {
		return fmt.Sprintf("its agent was killed (%s)", sig), again
	}
	if end.Code != sshFailed {
		return "its agent has ended early (" + reason(end) + ")", again
	}
	if said := lossOf(end.Stderr); said != "" {
		return "the connection was lost (" + said + ")", "its agent finishes what it has begun; " + again
	}
	return "its agent was killed", again // of a signal at the other end, ssh says nothing
}

// unheard is when no agent has answered.
func (c *call) unheard() (text, cure string) {
	var end *run.Error
	if !errors.As(c.process, &end) {
		if c.process != nil {
			return c.process.Error(), "correct that on this host"
		}
		return c.answer.Error(), c.try()
	}
	if text, cure, ok := c.known(end); ok {
		return text, cure
	}
	if end.Stderr == "" { // then standard output may tell more: that of a login shell that refuses
		return reason(end) + ": " + c.answer.Error(), c.try()
	}
	return reason(end), c.try()
}

// reason says how a command ended and why, as far as it has said so.
func reason(end *run.Error) string {
	text := fmt.Sprintf("exit status %d", end.Code)
	if said := lastLine(end.Stderr); said != "" {
		text += ": " + said
	}
	return text
}

// try is the next step where only a person can see what is wrong.
func (c *call) try() string {
	if c.here {
		return "try it by hand on this host"
	}
	return "try: ssh " + c.user + "@" + c.node.Address
}
