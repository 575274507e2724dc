package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxReasons is how many different reasons for the failure of one target are logged until it is well again.
const maxReasons = 5

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
	reasons map[string][]string // why a target fails, as logged
}

// flight is a run that overlapping scrapes share.
type flight struct {
	done   chan struct{}
	result *collected

	// find is how the targets were found, and calls are theirs; nil before. The runner guards both.
	find  outcome
	calls *calls
}

// run collects, or waits for the run that is under way. It returns a moment after ctx ends at the latest.
func (r *runner) run(ctx context.Context) *collected {
	start := time.Now()
	r.mu.Lock()
	f := r.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flight = f
		go func() {
			f.result = r.collect(ctx, f)
			r.mu.Lock()
			r.flight = nil
			r.mu.Unlock()
			close(f.done)
		}()
	}
	r.mu.Unlock()
	if wait(ctx, f.done) {
		return f.result
	}
	// Somebody with a later deadline started it.
	return r.soFar(f, start)
}

// soFar returns what a run has given by now, for somebody who has waited for it since start.
func (r *runner) soFar(f *flight, start time.Time) *collected {
	r.mu.Lock()
	find, calls := f.find, f.calls
	r.mu.Unlock()
	if calls == nil {
		return &collected{collector: r.collector.Name(), err: errLate, duration: time.Since(start)}
	}
	outcomes, ok := calls.soFar()
	if !ok { // then the run is over in a moment
		<-f.done
		return f.result
	}
	result := r.collected(find)
	result.outcomes, result.duration = outcomes, time.Since(start)
	return result
}

// wait waits for done, until a moment after ctx has ended.
func wait(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(2 * grace):
		return false
	}
}

// discovery is the name under which finding the targets is guarded like a target of its own.
const discovery = ""

func (r *runner) collect(ctx context.Context, f *flight) *collected {
	start := time.Now()
	var found []Target
	find := r.callAll(ctx, []Target{{Name: discovery, Collect: func(ctx context.Context, b *Batch) (err error) {
		found, err = r.collector.Targets(ctx, b)
		return err
	}}})[0]
	result := r.collected(find)
	if find.batch != nil { // else found may still be written
		calls := r.newCalls(ctx, found)
		r.mu.Lock()
		f.find, f.calls = find, calls
		r.mu.Unlock()
		result.outcomes = calls.all()
	}
	r.report(find, result.outcomes)
	result.duration = time.Since(start)
	return result
}

// collected is what finding the targets gave.
func (r *runner) collected(find outcome) *collected {
	c := &collected{collector: r.collector.Name(), found: find.batch, err: find.err}
	if errors.Is(c.err, ErrNoData) {
		c.err = nil
	}
	return c
}

func (r *runner) order(targets []Target) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	well, ill := make([]int, 0, len(targets)), []int(nil)
	for i, t := range targets {
		if len(r.reasons[t.Name]) == 0 {
			well = append(well, i)
		} else {
			ill = append(ill, i)
		}
	}
	return append(well, ill...)
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

// panicError is a mistake in a collector. The stack is for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic, please report it: %v", e.value) }

// protect turns a panic into an error: a mistake in one collector must not take the others with it.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return f()
}

// report logs each reason for a failure once, not once a scrape, and that a target is well again.
func (r *runner) report(find outcome, outcomes []outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reasons := make(map[string][]string)
	if failed(find.err) && len(outcomes) == 0 { // nobody was asked, so nobody is well again
		maps.Copy(reasons, r.reasons)
	}
	for _, o := range append([]outcome{find}, outcomes...) {
		before := r.reasons[o.target.Name]
		switch {
		case failed(o.err):
			reasons[o.target.Name] = logReason(r.logOf(o.target.Name), before, o.err)
		case errors.Is(o.err, ErrNoData): // nothing to read any more is neither well nor ill
		case errors.Is(o.err, ErrBusy):
			reasons[o.target.Name] = before
		case len(before) > 0:
			r.logOf(o.target.Name).Info("well again")
		}
	}
	r.reasons = reasons
}

func (r *runner) logOf(target string) *slog.Logger {
	log := r.log.With("collector", r.collector.Name())
	if target == discovery {
		return log
	}
	return log.With("target", target)
}

// logReason logs why a target fails, unless that has been said, and returns the reasons that have.
func logReason(log *slog.Logger, before []string, err error) []string {
	reason := withoutDigits(err.Error())
	switch {
	case slices.Contains(before, reason),
		len(before) >= maxReasons,
		len(before) > 0 && errors.Is(err, errStillRunning): // it runs for the reason that has been logged
		return before
	}
	var p *panicError
	if errors.As(err, &p) {
		log = log.With("stack", string(p.stack))
	}
	log.Warn("no or partial data", "err", err)
	return append(before, reason)
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
