package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// redrawn is how often the line on a terminal is written anew.
const redrawn = 500 * time.Millisecond

// progress shows how far a plan is: on a terminal in one line that is written anew, elsewhere in a line for each event.
type progress struct {
	w     io.Writer
	live  bool
	width int
	now   func() time.Time
	stop  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	plan    *control.Plan
	running []running
}

// running is a step under way.
type running struct {
	step  *control.Step
	since time.Time
	text  string
}

func (a *app) newProgress() *progress {
	p := &progress{w: a.err, live: a.terminalErr, now: a.now, stop: make(chan struct{})}
	if f, ok := a.err.(*os.File); ok && p.live {
		p.width = terminalWidth(f)
		p.ended.Go(p.tick)
	}
	return p
}

// tick lets the elapsed time run on.
func (p *progress) tick() {
	ticker := time.NewTicker(redrawn)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		case <-p.stop:
			return
		}
	}
}

// Started implements control.UI.
func (p *progress) Started(plan *control.Plan, s *control.Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
	p.running = append(p.running, running{step: s, since: p.now()})
	if p.live {
		p.draw()
		return
	}
	fmt.Fprintln(p.w, p.title(s))
}

// Progress implements control.UI.
func (p *progress) Progress(s *control.Step, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.find(s); i >= 0 {
		p.running[i].text = text
	}
	if p.live {
		p.draw()
		return
	}
	fmt.Fprintf(p.w, "%s: %s\n", p.title(s), text)
}

// Finished implements control.UI.
func (p *progress) Finished(s *control.Step, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.find(s)
	if i < 0 {
		return
	}
	elapsed := p.now().Sub(p.running[i].since)
	p.running = append(p.running[:i], p.running[i+1:]...)
	switch {
	case p.live:
		p.draw()
	case err != nil: // who runs the plan says why
		fmt.Fprintf(p.w, "%s: not done after %s\n", p.title(s), short(elapsed))
	case elapsed >= time.Second:
		fmt.Fprintf(p.w, "%s: done after %s\n", p.title(s), short(elapsed))
	}
}

// close takes the line away.
func (p *progress) close() {
	close(p.stop)
	p.ended.Wait()
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// draw writes the line on a terminal anew: the step that began first of those under way.
func (p *progress) draw() {
	if len(p.running) == 0 {
		return
	}
	r := p.running[0]
	line := p.title(r.step) + ", " + short(p.now().Sub(r.since))
	if r.text != "" {
		line += ": " + r.text
	}
	if more := len(p.running) - 1; more > 0 {
		line = fmt.Sprintf("%s (and %d more)", line, more)
	}
	runes := []rune(line)
	fmt.Fprintf(p.w, "\r\x1b[K%s", string(runes[:min(len(runes), p.width-1)]))
}

func (p *progress) title(s *control.Step) string {
	number := 1 + slices.IndexFunc(p.plan.Steps, func(o control.Step) bool { return o.ID == s.ID })
	return fmt.Sprintf("[%d/%d] %s", number, len(p.plan.Steps), place(*s))
}

func (p *progress) find(s *control.Step) int {
	return slices.IndexFunc(p.running, func(r running) bool { return r.step.ID == s.ID })
}

// short returns a duration for people: in whole seconds once there are some.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
