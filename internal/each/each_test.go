package each

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDo(t *testing.T) {
	for n := range 6 {
		for atOnce := 1; atOnce < 8; atOnce++ {
			synctest.Test(t, func(t *testing.T) {
				done := make([]int, n)
				var now, most atomic.Int32
				Do(n, atOnce, func(i int) {
					most.Store(max(most.Load(), now.Add(1)))
					time.Sleep(time.Second)
					now.Add(-1)
					done[i]++
				})
				for i, times := range done {
					if times != 1 {
						t.Errorf("%d of %d, %d at once: done %d times", i, n, atOnce, times)
					}
				}
				if want := min(n, atOnce); int(most.Load()) != want {
					t.Errorf("%d, %d at once: %d were, want %d", n, atOnce, most.Load(), want)
				}
			})
		}
	}
}

func TestDoPanics(t *testing.T) {
	var done atomic.Int32
	defer func() {
		if p := recover(); p != "three" {
			t.Errorf("recovered %v, want three", p)
		}
		if done.Load() != 3 {
			t.Errorf("%d of the others were done, want 3", done.Load())
		}
	}()
	Do(4, 4, func(i int) {
		if i == 3 {
			panic("three")
		}
		done.Add(1)
	})
	t.Error("Do has returned")
}
