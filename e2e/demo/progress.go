package main

import (
	"fmt"
	"io"
	"time"
)

// progress prints what is being done and when.
type progress struct {
	out   io.Writer
	start time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, start: time.Now()} }

// say prints one step. It may be called from several goroutines: each call is one write.
func (p *progress) say(who, step string) {
	fmt.Fprintf(p.out, "%5.1fs  %-10s  %s\n", time.Since(p.start).Seconds(), who, step)
}

// repeat says a step every ten seconds until stop is called.
func (p *progress) repeat(who, step string) (stop func()) {
	ticker := time.NewTicker(10 * time.Second)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				p.say(who, step)
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}
