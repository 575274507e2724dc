package run

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

const (
	// stderrKept is how much of standard error is kept, from its end, in bytes.
	stderrKept = 4 << 10
	// stderrLines is how many lines of it an error shows: the last say what is wrong, those before how it came.
	stderrLines = 3
)

// Error is the error of a command that was started.
type Error struct {
	Argv []string
	// Code is the exit status, or -1 when a signal ended the command.
	Code int
	// Stderr is the end of what it has printed on standard error.
	Stderr string
	// Err is how it ended, when Code does not say it all. It wraps the context's cause when ctx ended first.
	Err error
}

// Error returns the command, how it ended and the last lines of standard error, in one line.
func (e *Error) Error() string {
	text := "run " + Quote(e.Argv) + ": " + e.reason()
	if said := lastLines(e.Stderr, stderrLines); said != "" {
		text += ": " + said
	}
	return text
}

// Said returns the last lines of standard error, in one line.
func (e *Error) Said() string { return lastLines(e.Stderr, stderrLines) }

func (e *Error) reason() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns how it ended.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode returns the exit status, or -1 when a signal ended the command.
func (e *Error) ExitCode() int { return e.Code }

// Signal returns the signal that ended the command, or 0.
func (e *Error) Signal() syscall.Signal {
	var exit *exec.ExitError
	if !errors.As(e.Err, &exit) {
		return 0
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return 0
	}
	return status.Signal()
}

func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	data []byte
}

// Write adds to the end.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, data...)
	if extra := len(t.data) - stderrKept; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(data), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.data), "?")
}
