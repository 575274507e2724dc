// Package each does the same for each of several things, side by side.
package each

import "sync"

// Do calls do with 0 to n-1, at most atOnce at the same time, and returns when all have returned. When one panics, so does Do, after the
// others: its caller may recover, as nobody can from a panic in another goroutine.
func Do(n, atOnce int, do func(i int)) {
	workers := min(n, atOnce)
	panics := make([]any, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			defer func() { panics[w] = recover() }()
			for i := w; i < n; i += workers {
				do(i)
			}
		})
	}
	all.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
}
