package exporter

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errNone = errors.New("nothing there")

// fakeReads answers reads of a refresher: with how often the key was read, or with an error.
type fakeReads struct {
	mu    sync.Mutex
	count map[string]int
	errs  map[string]error
	takes time.Duration
}

func (f *fakeReads) read(ctx context.Context, key string) (int, error) {
	f.mu.Lock()
	takes := f.takes
	f.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count = make(map[string]int)
	}
	f.count[key]++
	return f.count[key], f.errs[key]
}

func (f *fakeReads) set(key string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = map[string]error{key: err}
}

func (f *fakeReads) refresher() *refresher[string, int] {
	return &refresher[string, int]{
		read:  f.read,
		gone:  func(err error) bool { return errors.Is(err, errNone) },
		every: time.Minute, timeout: 10 * time.Second,
	}
}

// ask gets values with a second of patience.
func ask(t *testing.T, r *refresher[string, int], keys ...string) (map[string]int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	readings, err := r.get(ctx, keys)
	values := make(map[string]int)
	for k, v := range readings {
		values[k] = v.value
	}
	return values, err
}

func wantValues(t *testing.T, got map[string]int, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestRefresherReadsNewKeysAtOnceAndOldOnesWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{}
		r := f.refresher()
		defer r.close()
		got, _ := ask(t, r, "a", "b")
		wantValues(t, got, map[string]int{"a": 1, "b": 1})

		time.Sleep(30 * time.Second)
		got, _ = ask(t, r, "b", "c")
		wantValues(t, got, map[string]int{"b": 1, "c": 1})

		time.Sleep(45 * time.Second)
		got, _ = ask(t, r, "b", "c")
		wantValues(t, got, map[string]int{"b": 2, "c": 1})

		got, _ = ask(t, r, "a")
		wantValues(t, got, map[string]int{"a": 2})
	})
}

func TestRefresherDoesNotWaitLongerThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{takes: 5 * time.Second}
		r := f.refresher()
		defer r.close()
		start := time.Now()
		got, _ := ask(t, r, "a")
		wantValues(t, got, map[string]int{})
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
		time.Sleep(5 * time.Second)
		got, _ = ask(t, r, "a")
		wantValues(t, got, map[string]int{"a": 1})
	})
}

func TestRefresherKeepsAValueThatCannotBeReadAgainUntilItIsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{}
		r := f.refresher()
		defer r.close()
		ask(t, r, "a")
		broken := errors.New("broken")
		f.set("a", broken)
		time.Sleep(2 * time.Minute)
		got, err := ask(t, r, "a")
		wantValues(t, got, map[string]int{"a": 1})
		if !errors.Is(err, broken) {
			t.Errorf("err = %v, want %v", err, broken)
		}
		time.Sleep(4 * time.Minute)
		got, err = ask(t, r, "a")
		wantValues(t, got, map[string]int{})
		if !errors.Is(err, broken) {
			t.Errorf("err = %v, want %v", err, broken)
		}
	})
}

func TestRefresherForgetsAValueThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{}
		r := f.refresher()
		defer r.close()
		ask(t, r, "a")
		f.set("a", errNone)
		time.Sleep(2 * time.Minute)
		got, err := ask(t, r, "a")
		wantValues(t, got, map[string]int{})
		if err != nil {
			t.Errorf("err = %v, want none", err)
		}
	})
}

// When everything hangs, a round must not take as long as all keys together, and no key may starve.
func TestRefresherEndsARoundOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{takes: time.Hour}
		r := f.refresher()
		defer r.close()
		var keys []string
		for i := range 10 {
			keys = append(keys, strconv.Itoa(i))
		}
		_, err := ask(t, r, keys...)
		if err != nil {
			t.Errorf("err = %v before the first failure", err)
		}
		time.Sleep(maxFailures * 10 * time.Second)
		tried := func() int {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(slices.Collect(maps.Keys(r.values)))
		}
		if got := tried(); got != maxFailures {
			t.Errorf("tried %d keys, want %d", got, maxFailures)
		}
		time.Sleep(3 * time.Minute)
		if got := tried(); got != len(keys) {
			t.Errorf("tried %d keys, want all %d", got, len(keys))
		}
	})
}

func TestRefresherEndsWhenNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{}
		r := f.refresher()
		ask(t, r, "a")
		done := r.done
		time.Sleep(idleAfter + 2*time.Second)
		select {
		case <-done:
		default:
			t.Error("still runs")
		}
		got, _ := ask(t, r, "a", "b")
		if got["b"] != 1 {
			t.Errorf("values = %v, want a new round", got)
		}
		r.close()
	})
}

// close must not wait for a read that takes long, and nothing runs afterwards.
func TestRefresherClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeReads{takes: 5 * time.Second}
		r := f.refresher()
		ask(t, r, "a")
		start := time.Now()
		r.close()
		if took := time.Since(start); took != 0 {
			t.Errorf("close took %v", took)
		}
		got, err := ask(t, r, "b")
		wantValues(t, got, map[string]int{})
		if err != nil {
			t.Error(err)
		}
		r.close()
	})
}
