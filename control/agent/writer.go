package agent

import (
	"encoding/json"
	"io"
	"sync"
)

// writer writes events, a line each. When the master is gone they are dropped: a step that has begun is finished.
type writer struct {
	mu     sync.Mutex
	out    io.Writer
	closed bool
}

func newWriter(out io.Writer) *writer { return &writer{out: out} }

func (w *writer) write(e Event) { w.put(e, false) }

// last writes the last event. What comes later, from a goroutine that was left behind, is dropped.
func (w *writer) last(e Event) { w.put(e, true) }

func (w *writer) progress(text string) { w.write(Event{Kind: KindProgress, Text: text}) }

func (w *writer) run(line string) { w.write(Event{Kind: KindRun, Text: line}) }

func (w *writer) put(e Event, last bool) {
	line, err := json.Marshal(e)
	if err != nil { // Data of a result was valid JSON before
		line, _ = json.Marshal(Event{Kind: KindError, Text: "encode event: " + err.Error()})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	_, err = w.out.Write(append(line, '\n'))
	w.closed = last || err != nil
}
