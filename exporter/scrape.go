package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	errStillRunning = errors.New("its last call has not returned yet, not called again")
	errLate         = errors.New("did not end before its deadline")
)

// grace is how long past its deadline a target may take to hand over what it has read so far.
const grace = 100 * time.Millisecond

// outcome is what one target gave in one scrape.
type outcome struct {
	target   Target
	batch    *Batch // nil when it did not end in time
	err      error
	duration time.Duration
}

// collected is what one collector gave in one scrape.
type collected struct {
	collector string
	found     *Batch // what Targets itself has put in
	outcomes  []outcome
	err       error // of Targets
	duration  time.Duration
}

func (c *collected) success() bool {
	if c.err != nil {
		return false
	}
	return !slices.ContainsFunc(c.outcomes, func(o outcome) bool { return failed(o.err) })
}

func failed(err error) bool {
	return err != nil && !errors.Is(err, ErrNoData) && !errors.Is(err, ErrBusy)
}

// runner runs one collector: each target with its own deadline, never twice at the same time.
type runner struct {
	collector     Collector
	targetTimeout time.Duration
	concurrency   int
	log           *slog.Logger

	mu      sync.Mutex
	flight  *flight
	running map[string]bool
	reasons map[string]string // why a target failed last, as logged
}

// flight is a run that overlapping scrapes share.
type flight struct {
	done   chan struct{}
	result *collected
}

// run collects, or waits for the run that is under way. It returns at the latest a moment after ctx ends, or when
// the run that it joined does.
func (r *runner) run(ctx context.Context) *collected {
	r.mu.Lock()
	f := r.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flight = f
		go func() {
			f.result = r.collect(ctx)
			r.mu.Lock()
			r.flight = nil
			r.mu.Unlock()
			close(f.done)
		}()
	}
	r.mu.Unlock()
	<-f.done
	return f.result
}

// discovery is the name under which finding the targets is guarded like a target of its own.
const discovery = ""

func (r *runner) collect(ctx context.Context) *collected {
	start := time.Now()
	var targets []Target
	find := r.call(ctx, Target{Name: discovery, Collect: func(ctx context.Context, b *Batch) error {
		found, err := r.collector.Targets(ctx, b)
		targets = found
		return err
	}})
	result := &collected{collector: r.collector.Name(), found: find.batch, err: find.err}
	if find.batch == nil { // it may still be writing to targets
		targets = nil
	}
	result.outcomes = r.callAll(ctx, targets)
	r.report(find, result.outcomes)
	if errors.Is(result.err, ErrNoData) {
		result.err = nil
	}
	result.duration = time.Since(start)
	return result
}

// callAll calls every target, those that failed last time after the others, so that many hung ones cannot keep
// a healthy one waiting for its turn.
func (r *runner) callAll(ctx context.Context, targets []Target) []outcome {
	outcomes := make([]outcome, len(targets))
	turns := make(chan struct{}, r.concurrency)
	var wg sync.WaitGroup
	for _, i := range r.order(targets) {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			outcomes[i] = outcome{target: targets[i], err: errLate}
			continue
		}
		wg.Go(func() {
			defer func() { <-turns }()
			targetCtx, cancel := context.WithTimeout(ctx, r.targetTimeout)
			defer cancel()
			outcomes[i] = r.call(targetCtx, targets[i])
		})
	}
	wg.Wait()
	return outcomes
}

func (r *runner) order(targets []Target) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var well, ill []int
	for i, t := range targets {
		if r.reasons[t.Name] == "" {
			well = append(well, i)
		} else {
			ill = append(ill, i)
		}
	}
	return append(well, ill...)
}

// call calls one target and gives up on it when ctx ends; the call itself may go on, and until it returns the
// target is not called again.
func (r *runner) call(ctx context.Context, t Target) outcome {
	if !r.begin(t.Name) {
		return outcome{target: t, err: errStillRunning}
	}
	start := time.Now()
	done := make(chan outcome, 1)
	go func() {
		b := &Batch{}
		err := protect(func() error { return t.Collect(ctx, b) })
		o := outcome{target: t, batch: b, err: err, duration: time.Since(start)}
		r.end(t.Name)
		done <- o
	}()
	select {
	case o := <-done:
		return o
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o
	case <-time.After(grace):
		return outcome{target: t, err: errLate, duration: time.Since(start)}
	}
}

func (r *runner) begin(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[name] {
		return false
	}
	r.running[name] = true
	return true
}

func (r *runner) end(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, name)
}

// protect turns a panic into an error: a mistake in one collector must not take the others with it.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic, please report it: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// report logs each reason for a failure once, not once a scrape, and that a target is well again.
func (r *runner) report(find outcome, outcomes []outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reasons := make(map[string]string)
	for _, o := range append([]outcome{find}, outcomes...) {
		log := r.log.With("collector", r.collector.Name())
		if o.target.Name != discovery {
			log = log.With("target", o.target.Name)
		}
		before := r.reasons[o.target.Name]
		if !failed(o.err) {
			if before != "" {
				log.Info("target is well again")
			}
			continue
		}
		reason := withoutDigits(o.err.Error())
		reasons[o.target.Name] = reason
		if errors.Is(o.err, errStillRunning) && before != "" {
			reasons[o.target.Name] = before
		} else if reason != before {
			log.Warn("target gives no or partial data", "err", o.err)
		}
	}
	r.reasons = reasons
}

// withoutDigits makes errors equal that differ only in a count, a time or a process id.
func withoutDigits(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, text)
}
