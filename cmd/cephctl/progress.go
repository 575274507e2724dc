package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// watcher is told how far a plan is. Its methods may be called from several goroutines.
type watcher interface {
	// begin is told that a step begins.
	begin(s *control.Step)
	// say is told what takes a step its time.
	say(s *control.Step, text string)
	// end is told that a step has ended, with an error when it was not done.
	end(s *control.Step, err error)
}

// redrawn is how often the line on a terminal is written anew.
const redrawn = 500 * time.Millisecond

// progress shows how far a plan is: on a terminal in one line that is written anew, elsewhere in a line for each event.
type progress struct {
	w     io.Writer
	live  bool
	width int
	now   func() time.Time
	// numbers are those of the steps, by their ids.
	numbers map[string]int
	stop    chan struct{}
	stopped sync.WaitGroup

	mu      sync.Mutex
	running []running
}

// running is a step under way.
type running struct {
	step  *control.Step
	since time.Time
	text  string
}

func (a *app) newProgress(plan *control.Plan) *progress {
	p := &progress{w: a.err, live: a.terminalErr, width: 80, now: a.now, numbers: make(map[string]int), stop: make(chan struct{})}
	for i, s := range plan.Steps {
		p.numbers[s.ID] = i + 1
	}
	if f, ok := a.err.(*os.File); ok && p.live {
		p.width = terminalWidth(f)
	}
	if p.live {
		p.stopped.Go(p.tick)
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

func (p *progress) begin(s *control.Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, running{step: s, since: p.now()})
	if p.live {
		p.draw()
		return
	}
	fmt.Fprintln(p.w, p.title(s))
}

func (p *progress) say(s *control.Step, text string) {
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

func (p *progress) end(s *control.Step, err error) {
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
	p.stopped.Wait()
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
	return fmt.Sprintf("[%d/%d] %s", p.numbers[s.ID], len(p.numbers), place(*s))
}

func (p *progress) find(s *control.Step) int {
	for i, r := range p.running {
		if r.step.ID == s.ID {
			return i
		}
	}
	return -1
}

// short returns a duration for people: in whole seconds once there are some.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
