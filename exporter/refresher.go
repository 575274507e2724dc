package exporter

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// idleAfter is how long a refresher goes on when nobody asks any more.
	idleAfter = 5 * time.Minute
	// staleAfter is how many of its periods a value is shown when it cannot be read again.
	staleAfter = 5
	// maxFailures ends a round: what fails that often does so for a common reason.
	maxFailures = 3
)

// A refresher reads in the background what takes too long for a scrape, one key after the other, and keeps the
// values. It works only while scrapes ask for them.
type refresher[K comparable, V any] struct {
	// read reads one value. It must return soon after ctx ends.
	read func(ctx context.Context, key K) (V, error)
	// gone tells whether an error of read only says that there is no value.
	gone func(error) bool
	// every is how old a value gets before it is read again, timeout how long reading one may take.
	every, timeout time.Duration

	mu      sync.Mutex
	keys    []K
	values  map[K]reading[V]
	asked   time.Time
	closed  bool
	changed chan struct{}      // closed when a round ends
	wake    chan struct{}      // ends the pause between two rounds
	stop    context.CancelFunc // nil while nothing runs
	done    chan struct{}
}

// reading is what the last tries to read a value have brought.
type reading[V any] struct {
	value V
	at    time.Time // when the value was read, zero for never
	tried time.Time
	err   error // of the last try
}

// get says which keys are wanted from now on and returns those of their values that are known and not stale. It
// waits for keys that are new, at most until ctx ends. The error is one of those of the last tries.
func (r *refresher[K, V]) get(ctx context.Context, keys []K) (map[K]reading[V], error) {
	r.want(keys)
	for {
		known, missing, changed, err := r.look(keys)
		if !missing || ctx.Err() != nil {
			return known, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// want sets the keys, forgets all others, and sees to it that a round begins when there are new ones.
func (r *refresher[K, V]) want(keys []K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := make(map[K]reading[V], len(keys))
	for _, k := range keys {
		if v, ok := r.values[k]; ok {
			kept[k] = v
		}
	}
	r.keys, r.values = keys, kept
	if r.closed || len(keys) == 0 {
		return
	}
	r.asked = time.Now()
	switch {
	case r.stop == nil:
		r.start()
	case len(kept) < len(keys):
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (r *refresher[K, V]) start() {
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.wake, r.done, r.changed = stop, make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go r.loop(ctx, r.wake, r.done)
}

// look returns what is known. missing is true when a key has not been tried yet and will be.
func (r *refresher[K, V]) look(keys []K) (known map[K]reading[V], missing bool, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known = make(map[K]reading[V], len(keys))
	for _, k := range keys {
		v, ok := r.values[k]
		if !ok {
			missing = r.stop != nil
		}
		if v.err != nil && !r.gone(v.err) {
			err = v.err
		}
		if !v.at.IsZero() && time.Since(v.at) < staleAfter*r.every {
			known[k] = v
		}
	}
	return known, missing, r.changed, err
}

func (r *refresher[K, V]) loop(ctx context.Context, wake <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	for {
		r.round(ctx)
		select {
		case <-wake:
		case <-time.After(min(r.every, time.Second)):
		case <-ctx.Done():
		}
		if r.finish(ctx) {
			return
		}
	}
}

// finish tells whether the loop ends, because nobody has asked for long or the refresher is closed.
func (r *refresher[K, V]) finish(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil && time.Since(r.asked) < idleAfter {
		return false
	}
	r.stop()
	r.stop = nil
	return true
}

// round reads every value that is due.
func (r *refresher[K, V]) round(ctx context.Context) {
	failures := 0
	for _, k := range r.due() {
		readCtx, cancel := context.WithTimeout(ctx, r.timeout)
		v, err := r.read(readCtx, k)
		cancel()
		if ctx.Err() != nil {
			return
		}
		r.keep(k, v, err)
		if err != nil && !r.gone(err) {
			failures++
		}
		if failures == maxFailures {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
}

// due returns the keys to be read: new ones first, then those whose last try is the longest ago.
func (r *refresher[K, V]) due() []K {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []K
	for _, k := range r.keys {
		if time.Since(r.values[k].tried) >= r.every {
			due = append(due, k)
		}
	}
	slices.SortStableFunc(due, func(a, b K) int { return r.values[a].tried.Compare(r.values[b].tried) })
	return due
}

// keep stores what a try has brought. After a failure the old value stays, until it is stale.
func (r *refresher[K, V]) keep(k K, v V, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		r.values[k] = reading[V]{value: v, at: now, tried: now}
	case r.gone(err):
		r.values[k] = reading[V]{tried: now, err: err}
	default:
		old := r.values[k]
		old.tried, old.err = now, err
		r.values[k] = old
	}
}

// close ends the work and waits until it has ended. What get gives afterwards is what was known last.
func (r *refresher[K, V]) close() {
	r.mu.Lock()
	r.closed = true
	done := r.done
	if r.stop != nil {
		r.stop()
	}
	r.mu.Unlock()
	if done != nil {
		<-done
	}
}
