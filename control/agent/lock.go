package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/flock"
)

// lockPoll is how often the lock is tried.
const lockPoll = 200 * time.Millisecond

// lock keeps an action apart from the rest of an earlier one, whose master may be gone. It waits for a while.
func (o Options) lock(ctx context.Context, path string, r Request, progress func(string)) (release func(), err error) {
	me := flock.Me(r.Action)
	told := false
	timeout := time.NewTimer(o.LockTimeout)
	defer timeout.Stop()
	for {
		release, err := flock.Take(path, me)
		var held *flock.HeldError
		if err == nil || !errors.As(err, &held) {
			return release, err
		}
		if !told {
			told = true
			progress("waiting for the agent that is at work here: " + held.Holder.String())
		}
		select {
		case <-time.After(lockPoll):
		case <-timeout.C:
			return nil, fmt.Errorf("an earlier agent is still at work on this node: %s: run the command again when that has ended",
				held.Holder)
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", held.Holder, context.Cause(ctx))
		}
	}
}
