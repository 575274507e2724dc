package exporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

// discard takes families and forgets them.
type discard struct{}

var _ FamilyWriter = discard{}

func (discard) WriteFamily(*dto.MetricFamily) error { return nil }

// collect scrapes and returns the values of the test's own families.
func collect(t *testing.T, ctx context.Context, e *Exporter) series {
	t.Helper()
	return scrapeWith(t, ctx, e).with("test_value", "test_up")
}

// scrapeWith scrapes without HTTP, so that it can be done in a bubble of synctest.
func scrapeWith(t *testing.T, ctx context.Context, e *Exporter) series {
	t.Helper()
	found := make(keep)
	if err := e.Scrape(ctx, nil, found); err != nil {
		t.Fatal(err)
	}
	return series(found)
}

// keep remembers the values of gauges and counters.
type keep series

var _ FamilyWriter = keep{}

func (k keep) WriteFamily(f *dto.MetricFamily) error {
	for _, m := range f.Metric {
		k[f.GetName()+labelText(m.Label)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return nil
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

var errBroken = errors.New("broken")

// What one target does wrong costs nothing of the other's.
func TestOneBadTarget(t *testing.T) {
	tests := []struct {
		name    string
		bad     func(ctx context.Context) error
		partial bool // what it gave before stays
		up      string
		log     string
	}{
		{"fails", func(context.Context) error { return errBroken }, true, "0", "broken"},
		{"panics", func(context.Context) error { panic("oh") }, true, "0", "panic, please report it: oh"},
		{"hangs until the deadline", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, true, "0", "deadline exceeded"},
		{"has no data", func(context.Context) error { return fmt.Errorf("look: %w", ErrNoData) }, true, "", ""},
		{"is busy", func(context.Context) error { return fmt.Errorf("look: %w", ErrBusy) }, true, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged
				e := New(Options{Log: log.logger()}, fake("c", failing("bad", test.bad), healthy("good")), fake("other", healthy("third")))
				want := series{`test_value{target="good"}`: 1, `test_value{target="third"}`: 1, `test_up{target="good"}`: 1, `test_up{target="third"}`: 1}
				if test.partial {
					want[`test_value{target="bad"}`] = 1
				}
				if test.up == "0" {
					want[`test_up{target="bad"}`] = 0
				}
				for range 3 {
					if diff := cmp.Diff(want, collect(t, within(t, 9*time.Second), e)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				}
				lines := log.lines()
				if test.log == "" && len(lines) != 0 || test.log != "" && (len(lines) != 1 || len(log.lines(test.log, "target=bad", "collector=c")) != 1) {
					t.Errorf("log: %v", lines)
				}
			})
		})
	}
}

// A target that ignores its context loses its series, is not called again before it has returned, and the scrape
// does not wait for it.
func TestTargetThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		var log logged
		e := New(Options{Log: log.logger()}, fake("c", failing("bad", func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		}), healthy("good")))
		want := series{`test_value{target="good"}`: 1, `test_up{target="good"}`: 1, `test_up{target="bad"}`: 0}
		for i := range 3 {
			start := time.Now()
			if diff := cmp.Diff(want, collect(t, within(t, 9*time.Second), e)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if took := time.Since(start); i == 0 && took > 5*time.Second+grace || i > 0 && took != 0 {
				t.Errorf("scrape %d took %s", i, took)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("called %d times while the first call runs", n)
		}
		if lines := log.lines(); len(lines) != 1 {
			t.Errorf("log: %v", lines)
		}
		close(release)
		synctest.Wait()
		want[`test_value{target="bad"}`], want[`test_up{target="bad"}`] = 1, 1
		if diff := cmp.Diff(want, collect(t, within(t, 9*time.Second), e)); diff != "" {
			t.Errorf("after it returned (-want +got):\n%s", diff)
		}
		if len(log.lines("well again")) != 1 {
			t.Errorf("log: %v", log.lines())
		}
	})
}

// Hung targets, far more than may run at once, do not keep a healthy one behind them waiting: not in the first
// scrape, when nobody knows yet that they hang, and not later.
func TestManyHungTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		var targets []Target
		for i := range 1000 {
			targets = append(targets, failing(fmt.Sprint(i), hang))
		}
		targets = append(targets, healthy("good"))
		e := New(Options{}, fake("c", targets...))
		for i := range 2 {
			start := time.Now()
			got := collect(t, within(t, 9500*time.Millisecond), e)
			if got[`test_up{target="good"}`] != 1 {
				t.Errorf("scrape %d: the healthy target is not up", i)
			}
			if len(got) != 2*1001 {
				t.Errorf("scrape %d: %d series, want 2002", i, len(got))
			}
			if took := time.Since(start); took > 9500*time.Millisecond {
				t.Errorf("scrape %d took %s", i, took)
			}
		}
	})
}

// No more targets than Concurrency run at once, as long as they are quick.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		var targets []Target
		for i := range 20 {
			targets = append(targets, failing(fmt.Sprint(i), func(context.Context) error {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(patience / 2)
				now.Add(-1)
				return nil
			}))
		}
		collect(t, within(t, 9*time.Second), New(Options{Concurrency: 3}, fake("c", targets...)))
		if most.Load() != 3 {
			t.Errorf("%d at once, want 3", most.Load())
		}
	})
}

func TestHangingTargetsOfOneCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var log logged
		hung := &fakeCollector{name: "hung", targets: func(context.Context, *Batch) ([]Target, error) {
			<-release
			return []Target{healthy("bad")}, nil
		}}
		e := New(Options{Log: log.logger()}, hung, fake("c", healthy("good")))
		want := series{`test_value{target="good"}`: 1, `test_up{target="good"}`: 1}
		for range 3 {
			start := time.Now()
			got := scrapeWith(t, within(t, 9*time.Second), e)
			if diff := cmp.Diff(want, got.with("test_value", "test_up")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got[`ceph_ganeti_exporter_collector_success{collector="hung"}`] != 0 {
				t.Error("the hung collector is a success")
			}
			if took := time.Since(start); took > 5*time.Second+grace {
				t.Errorf("took %s", took)
			}
		}
		if lines := log.lines(); len(lines) != 1 {
			t.Errorf("log: %v", lines)
		}
		close(release)
		synctest.Wait()
		want[`test_value{target="bad"}`], want[`test_up{target="bad"}`] = 1, 1
		if diff := cmp.Diff(want, collect(t, within(t, 9*time.Second), e)); diff != "" {
			t.Errorf("after it returned (-want +got):\n%s", diff)
		}
	})
}

func TestTargetsFail(t *testing.T) {
	for name, find := range map[string]func(context.Context, *Batch) ([]Target, error){
		"error and some targets": func(context.Context, *Batch) ([]Target, error) { return []Target{healthy("good")}, errBroken },
		"panic":                  func(context.Context, *Batch) ([]Target, error) { panic("oh") },
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			e := New(Options{Log: log.logger()}, &fakeCollector{name: "c", targets: find})
			for range 3 {
				got := scrapeWith(t, t.Context(), e)
				if got[`ceph_ganeti_exporter_collector_success{collector="c"}`] != 0 {
					t.Error("the collector is a success")
				}
				if name != "panic" && got[`test_up{target="good"}`] != 1 {
					t.Error("the targets that were found are not read")
				}
			}
			if lines := log.lines(); len(lines) != 1 {
				t.Errorf("log: %v", lines)
			}
		})
	}
}

// That a collector found no targets does not mean that those that failed before are well.
func TestReasonsOutlastFailedDiscovery(t *testing.T) {
	var log logged
	broken := false
	e := New(Options{Log: log.logger()}, &fakeCollector{name: "c", targets: func(context.Context, *Batch) ([]Target, error) {
		if broken {
			return nil, errBroken
		}
		return []Target{failing("bad", func(context.Context) error { return errBroken })}, nil
	}})
	for _, broken = range []bool{false, true, false} {
		scrapeWith(t, t.Context(), e)
	}
	if lines := log.lines("target=bad"); len(lines) != 1 {
		t.Errorf("log: %v", log.lines())
	}
}

func TestReasonsAreLoggedOnce(t *testing.T) {
	var log logged
	var err error
	e := New(Options{Log: log.logger()}, fake("c", failing("bad", func(context.Context) error { return err })))
	steps := []struct {
		err   error
		lines int
	}{
		{errors.New("took 17 ms"), 1},
		{errors.New("took 4 ms"), 1}, // differs in a number only
		{errors.New("closed"), 2},
		{errors.New("took 5 ms"), 2}, // to and fro
		{nil, 3},
		{errors.New("closed"), 4},
		{errors.New("a"), 5},
		{errors.New("b"), 6},
		{errors.New("c"), 7},
		{errors.New("d"), 8},
		{errors.New("e"), 8}, // never the same one: enough is said
	}
	for _, step := range steps {
		err = step.err
		scrapeWith(t, t.Context(), e)
		if n := len(log.lines()); n != step.lines {
			t.Errorf("after %v: %d lines, want %d", step.err, n, step.lines)
		}
	}
}

// Scrapes that overlap share one gather; one with an earlier deadline than the gather's does without what is missing.
func TestOverlappingScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		e := New(Options{}, fake("c", failing("slow", func(context.Context) error {
			calls.Add(1)
			time.Sleep(3 * time.Second)
			return nil
		})))
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				if got := collect(t, within(t, 9*time.Second), e); got[`test_up{target="slow"}`] != 1 {
					t.Errorf("scrape %d got %v", i, got)
				}
			})
		}
		wg.Go(func() {
			time.Sleep(time.Second)
			start := time.Now()
			got := scrapeWith(t, within(t, time.Second), e)
			if success, ok := got[`ceph_ganeti_exporter_collector_success{collector="c"}`]; success != 0 || !ok {
				t.Errorf("the hurried scrape got %v", got)
			}
			if took := time.Since(start); took > time.Second+2*grace {
				t.Errorf("the hurried scrape took %s", took)
			}
		})
		wg.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls, want 1", calls.Load())
		}
	})
}

// A scrape with an earlier deadline than the one that it shares a gather with gets what there is by then.
func TestHurriedScrapeGetsWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		defer close(wake)
		e := New(Options{}, fake("c", healthy("good"), failing("broken", func(context.Context) error { return errBroken }),
			failing("hung", func(context.Context) error {
				<-wake
				return nil
			})))
		want := series{
			`test_value{target="good"}`: 1, `test_up{target="good"}`: 1,
			`test_value{target="broken"}`: 1, `test_up{target="broken"}`: 0, `test_up{target="hung"}`: 0,
		}
		var wg sync.WaitGroup
		for _, deadline := range []time.Duration{9 * time.Second, 2 * time.Second} {
			wg.Go(func() {
				if diff := cmp.Diff(want, collect(t, within(t, deadline), e)); diff != "" {
					t.Errorf("scrape of %s (-want +got):\n%s", deadline, diff)
				}
			})
			time.Sleep(time.Second)
		}
		wg.Wait()
	})
}

func TestScrapeOnly(t *testing.T) {
	e := New(Options{}, fake("a", healthy("a")), fake("b", healthy("b")))
	found := make(keep)
	if err := e.Scrape(t.Context(), []string{"b"}, found); err != nil {
		t.Fatal(err)
	}
	want := series{`test_value{target="b"}`: 1, `test_up{target="b"}`: 1}
	if diff := cmp.Diff(want, series(found).with("test_value", "test_up")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A mistake in a collector's labels is an error of that target.
func TestWrongNumberOfLabels(t *testing.T) {
	e := New(Options{}, fake("c", Target{Name: "bad", Collect: func(_ context.Context, b *Batch) error {
		b.Add(valueFamily, 1)
		return nil
	}}, healthy("good")))
	got := scrapeWith(t, t.Context(), e)
	if got[`ceph_ganeti_exporter_target_up{collector="c",target="bad"}`] != 0 || got[`test_up{target="good"}`] != 1 {
		t.Errorf("got %v", got)
	}
}

// A target that has nothing to read any more, or is in somebody's use, is not said to be well.
func TestNothingToReadIsNotWell(t *testing.T) {
	for name, result := range map[string]error{"no data": ErrNoData, "busy": ErrBusy} {
		t.Run(name, func(t *testing.T) {
			err := errors.New("is ill")
			var log logged
			e := New(Options{Log: log.logger()}, fake("c", failing("x", func(context.Context) error { return err })))
			scrape(t, e)
			err = result
			scrape(t, e)
			if n := len(log.lines("is ill")); n != 1 {
				t.Errorf("%d lines say that it is ill, want 1", n)
			}
			if lines := log.lines("well again"); len(lines) != 0 {
				t.Errorf("logged %q", lines)
			}
		})
	}
}
