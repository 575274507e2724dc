package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// noiseLimit is what a login shell may print before the agent speaks.
	noiseLimit = 64 << 10
	// lineLimit is more than any result.
	lineLimit = 64 << 20
	// noiseShown is how much of the noise an error shows.
	noiseShown = 300
)

var (
	// ErrNoHello is in the error when no agent has answered.
	ErrNoHello = errors.New("no cephctl node-agent has answered")
	// ErrTruncated is in the error when an agent has answered, but not told how it ended.
	ErrTruncated = errors.New("ended without a result")
)

// Error is what an agent has answered when it has not done what it was asked for.
type Error struct {
	// Host is the name that it has for itself.
	Host string
	Text string
}

// Error returns the text, which the agent's user reads with the name of the node before it.
func (e *Error) Error() string { return e.Text }

// hello is how the first event begins, as Serve writes it.
var hello = []byte(`{"kind":"` + KindHello + `"`)

// Read reads an agent's answer to its end and returns the data of its result. Hello and all that comes after it and
// before the end is told to events, unless that is nil. Errors are *Error, or wrap ErrNoHello or ErrTruncated.
func Read(r io.Reader, events func(Event)) (json.RawMessage, error) {
	if events == nil {
		events = func(Event) {}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineLimit)
	first, err := readHello(lines)
	if err != nil {
		return nil, err
	}
	events(first)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%w: a line is no event: %s", ErrTruncated, show(lines.Bytes()))
		}
		switch e.Kind {
		case KindResult:
			return e.Data, nil
		case KindError:
			return nil, &Error{Host: first.Host, Text: e.Text}
		}
		events(e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return nil, ErrTruncated
}

// readHello skips what comes before hello: shells and their start-up files print, and not always whole lines.
func readHello(lines *bufio.Scanner) (Event, error) {
	var noise []byte
	for len(noise) <= noiseLimit && lines.Scan() {
		line := lines.Bytes()
		if start := bytes.Index(line, hello); start >= 0 {
			var e Event
			if err := json.Unmarshal(line[start:], &e); err == nil {
				return e, nil
			}
		}
		noise = append(append(noise, line...), '\n')
	}
	noise = bytes.TrimSpace(noise)
	switch err := lines.Err(); {
	case err != nil:
		return Event{}, fmt.Errorf("%w: %w", ErrNoHello, err)
	case len(noise) > 0:
		return Event{}, fmt.Errorf("%w, but this: %s", ErrNoHello, show(noise))
	}
	return Event{}, ErrNoHello
}

// show returns the beginning of what came, in one line and without control characters.
func show(data []byte) string {
	if len(data) > noiseShown {
		return fmt.Sprintf("%q…", data[:noiseShown])
	}
	return fmt.Sprintf("%q", data)
}
