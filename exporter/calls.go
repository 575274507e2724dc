package exporter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

var (
	errStillRunning = errors.New("its last call has not returned yet, not called again")
	errLate         = errors.New("did not end before its deadline")
)

const (
	// grace is how long past its deadline a target may take to hand over what it has read so far.
	grace = 100 * time.Millisecond
	// patience is how long a target keeps its turn. One that takes longer goes on, but without keeping others
	// from theirs: targets that hang cost the healthy ones next to nothing, however many they are. It is not longer than
	// grace, so that at the end of a scrape there is somebody in time to give up on those that had no turn.
	patience = 100 * time.Millisecond
)

// calls are those of all targets of a collector in one scrape. A few workers call one target after the other. Who waits for them
// gives up on a target a moment after its deadline: the call itself may go on, and until it returns the target is not called again.
type calls struct {
	r       *runner
	ctx     context.Context
	targets []Target
	order   []int // in which they are called

	mu       sync.Mutex
	next     int // order[next:] have not been called
	state    []call
	outcomes []outcome
	missing  int           // outcomes
	done     chan struct{} // closed when none is missing
	ended    time.Time     // when ctx had
}

// call is the state of one of them.
type call struct {
	begun time.Time // zero when it has not
	slow  bool      // has lost its turn
	over  bool      // has an outcome
}

// newCalls prepares to call targets, those that failed last time after the others.
func (r *runner) newCalls(ctx context.Context, targets []Target) *calls {
	return &calls{
		r: r, ctx: ctx, targets: targets, order: r.order(targets),
		state: make([]call, len(targets)), outcomes: make([]outcome, len(targets)),
		missing: len(targets), done: make(chan struct{}),
	}
}

// callAll calls targets and returns their outcomes.
func (r *runner) callAll(ctx context.Context, targets []Target) []outcome {
	return r.newCalls(ctx, targets).all()
}

// all calls every target. It is called once.
func (c *calls) all() []outcome {
	if len(c.targets) == 0 {
		return nil
	}
	for range min(c.r.concurrency, len(c.targets)) {
		go c.work()
	}
	c.wait()
	return c.handOver()
}

// soFar returns the outcomes that there are by now. The other targets are late for whoever asks. It returns false when all have been
// handed over.
func (c *calls) soFar() ([]outcome, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outcomes == nil {
		return nil, false
	}
	outcomes := slices.Clone(c.outcomes)
	for i := range outcomes {
		switch call := &c.state[i]; {
		case call.over:
		case call.begun.IsZero():
			outcomes[i] = outcome{target: c.targets[i], err: errLate}
		default:
			outcomes[i] = outcome{target: c.targets[i], err: errLate, duration: time.Since(call.begun)}
		}
	}
	return outcomes, true
}

// work calls one target after the other, until there is none or it has lost its turn.
func (c *calls) work() {
	for goOn := true; goOn; {
		i, ok := c.take()
		if !ok {
			return
		}
		start, b := time.Now(), &Batch{}
		err := c.callTarget(&c.targets[i], b)
		c.r.end(c.targets[i].Name)
		goOn = c.settle(i, outcome{batch: b, err: err, duration: time.Since(start)})
	}
}

func (c *calls) callTarget(t *Target, b *Batch) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.r.targetTimeout)
	defer cancel()
	return protect(func() error { return t.Collect(ctx, b) })
}

// take returns the next target to call, none when ctx is over.
func (c *calls) take() (i int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.next < len(c.order) {
		i := c.order[c.next]
		c.next++
		switch {
		case c.ctx.Err() != nil:
			c.put(i, outcome{err: errLate})
		case !c.r.begin(c.targets[i].Name):
			c.put(i, outcome{err: errStillRunning})
		default:
			c.state[i].begun = time.Now()
			return i, true
		}
	}
	return 0, false
}

// settle hands over an outcome, unless nobody waits for it any more. It returns whether the call still had its turn.
func (c *calls) settle(i int, o outcome) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state[i].over {
		c.put(i, o)
	}
	return !c.state[i].slow
}

// put puts in the outcome of a call.
func (c *calls) put(i int, o outcome) {
	o.target = c.targets[i]
	c.state[i].over, c.outcomes[i] = true, o
	if c.missing--; c.missing == 0 {
		close(c.done)
	}
}

// wait waits until every target has an outcome, as each of them has a moment after its deadline at the latest.
func (c *calls) wait() {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	ended := c.ctx.Done()
	for {
		select {
		case <-c.done:
			return
		case <-ended:
			ended = nil
		case <-timer.C:
		}
		timer.Reset(c.look(time.Now()))
	}
}

// look takes turns from those that are slow, gives up on those that are late, and returns when to look again.
func (c *calls) look(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended.IsZero() && c.ctx.Err() != nil {
		c.ended = now
	}
	again := patience
	for i := range c.state {
		call := &c.state[i]
		if call.over || call.begun.IsZero() {
			continue
		}
		if !call.slow && now.Sub(call.begun) >= patience {
			call.slow = true
			go c.work()
		}
		left := c.deadline(call.begun).Add(grace).Sub(now)
		if left <= 0 {
			c.put(i, outcome{err: errLate, duration: now.Sub(call.begun)})
			continue
		}
		again = min(again, left)
		if !call.slow {
			again = min(again, call.begun.Add(patience).Sub(now))
		}
	}
	return again
}

// handOver returns the outcomes and keeps none of them, as a call that goes on may keep c for hours.
func (c *calls) handOver() []outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	outcomes := c.outcomes
	c.outcomes = nil
	return outcomes
}

// deadline is that of a call that has begun.
func (c *calls) deadline(begun time.Time) time.Time {
	end := begun.Add(c.r.targetTimeout)
	if !c.ended.IsZero() && c.ended.Before(end) {
		return c.ended
	}
	return end
}
