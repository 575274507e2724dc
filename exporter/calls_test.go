package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
)

// newRunner makes a runner for calls alone.
func newRunner(concurrency int) *runner {
	return &runner{
		collector: fake("c"), targetTimeout: 5 * time.Second, concurrency: concurrency,
		log: slog.New(slog.DiscardHandler), running: make(map[string]bool),
	}
}

// Every target has its turn as soon as one is free: one that ends or takes longer than patience gives up its own. A hundred random lists
// of targets, quick ones and some that hang, begin exactly when they should.
func TestTurns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		concurrency, took := 1+random.IntN(5), make([]time.Duration, 1+random.IntN(40))
		for i := range took {
			took[i] = time.Duration(random.Int64N(int64(2 * patience)))
		}
		synctest.Test(t, func(t *testing.T) {
			start, got := time.Now(), make([]time.Duration, len(took))
			targets := make([]Target, len(took))
			for i := range targets {
				targets[i] = failing(fmt.Sprint(i), func(context.Context) error {
					got[i] = time.Since(start)
					time.Sleep(took[i])
					return nil
				})
			}
			for i, o := range newRunner(concurrency).callAll(t.Context(), targets) {
				if o.target.Name != targets[i].Name || o.err != nil || o.batch.Len() != 1 || o.duration != took[i] {
					t.Fatalf("target %d: %+v, want %s", i, o, took[i])
				}
			}
			want, free := make([]time.Duration, len(took)), make([]time.Duration, concurrency)
			for i := range want {
				next := slices.Index(free, slices.Min(free))
				want[i] = free[next]
				free[next] += min(took[i], patience)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d at once, they take %s (-want +got):\n%s", concurrency, took, diff)
			}
		})
	}
}

// said tells in one line what a target gave.
func said(o outcome) string {
	if o.batch == nil {
		return fmt.Sprintf("nothing in %s, %v", o.duration, o.err)
	}
	return fmt.Sprintf("%d samples in %s, %v", o.batch.Len(), o.duration, o.err)
}

// Who failed last time is called after the others.
func TestIllAreCalledLast(t *testing.T) {
	r := newRunner(1)
	for _, want := range []string{"[ill well]", "[well ill]"} {
		var called []string
		target := func(name string, err error) Target {
			return failing(name, func(context.Context) error { called = append(called, name); return err })
		}
		r.report(outcome{}, r.callAll(t.Context(), []Target{target("ill", errBroken), target("well", nil)}))
		if got := fmt.Sprint(called); got != want {
			t.Errorf("called %s, want %s", got, want)
		}
	}
}

// When ctx ends before its time, no target is called any more, and those that are called have a moment left.
func TestCallsEndWithContext(t *testing.T) {
	const cancelled = 30 * time.Millisecond
	well := func(took time.Duration) string { return fmt.Sprintf("1 samples in %s, <nil>", took) }
	late := func(took time.Duration) string { return fmt.Sprintf("nothing in %s, %v", took, errLate) }
	for name, test := range map[string]struct {
		after time.Duration   // ctx ends
		takes []time.Duration // by each target
		want  []string
		took  time.Duration
	}{
		"over before": {0, []time.Duration{0, 0}, []string{late(0), late(0)}, 0},
		"nobody is late": {
			cancelled,
			[]time.Duration{cancelled / 2, grace, 0},
			[]string{well(cancelled / 2), well(grace), late(0)},
			cancelled/2 + grace,
		},
		"one is late": {
			cancelled,
			[]time.Duration{cancelled / 2, 2 * grace, 0},
			[]string{well(cancelled / 2), late(cancelled/2 + grace), late(0)},
			cancelled + grace,
		},
		"some have lost their turn": {
			3 * patience,
			[]time.Duration{time.Hour, time.Hour, 0, patience * 3 / 2},
			[]string{late(3*patience + grace), late(2*patience + grace), well(0), well(patience * 3 / 2)},
			3*patience + grace,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if test.after == 0 {
					cancel()
				}
				time.AfterFunc(test.after, cancel)
				targets := make([]Target, len(test.takes))
				for i, d := range test.takes {
					targets[i] = failing(fmt.Sprint(i), func(context.Context) error {
						if test.after == 0 {
							t.Error("called")
						}
						time.Sleep(d)
						return nil
					})
				}
				r, start, got := newRunner(1), time.Now(), []string(nil)
				for _, o := range r.callAll(ctx, targets) {
					got = append(got, said(o))
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				time.Sleep(2 * time.Hour)
				for _, target := range targets {
					if !r.begin(target.Name) {
						t.Errorf("%s is taken for running", target.Name)
					}
				}
			})
		})
	}
}

// A call that hangs keeps nothing in memory of what the others gave in its scrape.
func TestHungCallKeepsNothing(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	r := newRunner(2)
	r.targetTimeout = time.Millisecond
	outcomes := r.callAll(t.Context(), []Target{healthy("good"), failing("hangs", func(context.Context) error { <-release; return nil })})
	batch := weak.Make(outcomes[0].batch)
	if batch.Value().Len() != 1 || !errors.Is(outcomes[1].err, errLate) {
		t.Fatalf("got %+v", outcomes)
	}
	runtime.KeepAlive(outcomes)
	runtime.GC()
	if batch.Value() != nil {
		t.Error("what the healthy one gave is still in memory")
	}
}
