// Package run runs commands on this host, bounded and logged. It is the one place where cephctl starts a process.
package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// stdoutLimit is more than any answer that is asked for: the largest are JSON dumps of some MiB.
const stdoutLimit = 64 << 20

// Runner runs commands. Its zero value does so without a log.
type Runner struct {
	// Log gets what was run, how long it took and how it ended; never what went in or came out.
	Log *slog.Logger
	// Host, when set, says in the log where it was run.
	Host string
	// OnRun, when set, is called with a command line right before it is run, quoted for a shell. It may be called from
	// several goroutines at once.
	OnRun func(line string)
	// Env is what the environment of commands has beyond (or instead of) PATH, LC_ALL and HOME, as "NAME=value".
	Env []string
	// Limit is how much a command may print on standard output, in bytes; 64 MiB when 0.
	Limit int
}

var _ control.Runner = (*Runner)(nil)

// errTooMuch ends a command that prints more than the limit.
var errTooMuch = errors.New("too much output")

// Run runs a command to its end and returns what it has printed on standard output. When ctx ends first, the command's
// process group is ended. Errors of a command that has started are *Error.
func (r *Runner) Run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &limited{left: r.limit(), full: func() { cancel(errTooMuch) }}
	p, err := r.start(ctx, stdin, out, false, argv)
	if err != nil {
		return nil, err
	}
	err = p.wait(ctx)
	return out.buf.Bytes(), err
}

func (r *Runner) limit() int {
	if r.Limit > 0 {
		return r.Limit
	}
	return stdoutLimit
}

// limited is a buffer that refuses what is beyond its limit and then calls full.
type limited struct {
	buf  bytes.Buffer // not embedded: its ReadFrom would go round the limit
	left int
	full func()
}

// Write adds to the buffer.
func (l *limited) Write(data []byte) (int, error) {
	if len(data) > l.left {
		l.full()
		return 0, errTooMuch
	}
	l.left -= len(data)
	return l.buf.Write(data)
}

// Stream is a command whose standard output is read while it runs.
type Stream struct {
	Argv  []string
	Stdin []byte
	// Read reads standard output. What it leaves is discarded. At the latest when ctx ends, it meets the end of file.
	Read func(io.Reader)
	// Outlive leaves the command running when ctx ends, in a session of its own: nobody reads its output any more, and
	// Stream returns. It is for what must not be broken off in the middle.
	Outlive bool
}

// Stream runs a command to its end, like Run.
func (r *Runner) Stream(ctx context.Context, s Stream) error {
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", Quote(s.Argv), err)
	}
	defer out.Close()
	p, err := r.start(ctx, s.Stdin, in, s.Outlive, s.Argv)
	in.Close()
	if err != nil {
		return err
	}
	reader := &pipe{file: out}
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.Read(reader)
		_, _ = io.Copy(io.Discard, reader)
	}()
	err = p.waitOrLeave(ctx, s.Outlive)
	if err != nil && ctx.Err() != nil {
		reader.leave()
	} else {
		reader.end()
	}
	<-read
	return err
}
