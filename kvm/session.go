package kvm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// MaxAnswer is how much is read in one session, in bytes. A disk takes about 1.5 kB.
const MaxAnswer = 16 << 20

var (
	// ErrAnswer is in the error when QEMU's answer breaks the protocol or is not what the command gives.
	ErrAnswer = errors.New("malformed answer")
	// ErrRefused is in the error when QEMU answered a command with an error.
	ErrRefused = errors.New("QEMU refused")
)

// Version is the version of a QEMU.
type Version struct {
	// Number is as QEMU writes it, for example "7.2.22".
	Number string
	// Package is what the distribution calls it.
	Package string
}

// Session is one connection to a QMP monitor.
//
// Why it does not build on go-qemu's SocketMonitor, with which the tests compare: that one's greeting and Run wait without
// a deadline, its Disconnect races with its Connect, an event that follows an answer overwrites it, an answer of
// over 64 KiB ends it, and it has one command under way at a time, while here all go out in one write, so that the
// monitor is held for a few milliseconds.
type Session struct {
	// Greeting is what QEMU said first, and Version what it is by that.
	Greeting []byte
	Version  Version

	ctx    context.Context
	conn   net.Conn
	stop   func() bool
	end    func()
	buf    []byte
	next   int // buf[next:] has been read and not handed out
	agreed bool
	err    error // what ended the session in the middle
}

func newSession(ctx context.Context, conn net.Conn, buf []byte) *Session {
	s := &Session{ctx: ctx, conn: conn, buf: buf[:0], end: func() {}}
	s.stop = context.AfterFunc(ctx, func() { conn.Close() })
	return s
}

// Close ends the session. Answers stay valid.
func (s *Session) Close() {
	s.stop()
	s.conn.Close()
	s.end()
}

// Buffer returns the buffer that answers were read into, for the next session to use when they are done with.
func (s *Session) Buffer() []byte { return s.buf }

// Ask sends all queries in one write and returns their answers, in the same order. It skips events.
//
// Errors: ErrAnswer, ErrRefused, and the context's error when the deadline passed.
func (s *Session) Ask(queries ...Query) ([][]byte, error) {
	answers, err := s.ask(queries)
	if err != nil {
		s.err = err
		return nil, err
	}
	return answers, nil
}

func (s *Session) ask(queries []Query) ([][]byte, error) {
	asked := queries
	if !s.agreed {
		asked = append([]Query{capabilities}, queries...)
	}
	var request []byte
	for _, q := range asked {
		request = append(request, q.line...)
	}
	if _, err := s.conn.Write(request); err != nil {
		return nil, fmt.Errorf("ask: %w", s.cause(err))
	}
	answers := make([][]byte, len(asked))
	for i, q := range asked {
		answer, err := s.answer()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q, s.cause(err))
		}
		answers[i] = answer
	}
	answers = answers[len(asked)-len(queries):]
	s.agreed = true
	return answers, nil
}

// answer returns the next message that is not an event.
func (s *Session) answer() ([]byte, error) {
	for {
		line, err := s.message()
		if err != nil {
			return nil, err
		}
		event, err := checkAnswer(line)
		if err != nil {
			return nil, err
		}
		if !event {
			return line, nil
		}
	}
}

// message returns the next line. QEMU writes each message in one.
func (s *Session) message() ([]byte, error) {
	for scanned := s.next; ; {
		if i := bytes.IndexByte(s.buf[scanned:], '\n'); i >= 0 {
			line := s.buf[s.next : scanned+i]
			s.next = scanned + i + 1
			return bytes.TrimRight(line, "\r"), nil
		}
		scanned = len(s.buf)
		if scanned >= MaxAnswer {
			return nil, fmt.Errorf("%w: over the limit of %d bytes", ErrAnswer, MaxAnswer)
		}
		if err := s.read(); err != nil {
			return nil, err
		}
	}
}

func (s *Session) read() error {
	if len(s.buf) == cap(s.buf) {
		grown := make([]byte, len(s.buf), max(16<<10, 2*cap(s.buf)))
		copy(grown, s.buf)
		s.buf = grown
	}
	n, err := s.conn.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// cause says what an error of the connection means.
func (s *Session) cause(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("no answer in time: %w", s.ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: QEMU closed the connection early", ErrAnswer)
	}
	return err
}

// parseGreeting reads {"QMP": {"version": {...}, "capabilities": [...]}}.
func parseGreeting(line []byte) (Version, error) {
	var greeting struct {
		QMP *struct {
			Version struct {
				Package string
				QEMU    struct{ Major, Minor, Micro int }
			}
		}
	}
	if err := json.Unmarshal(line, &greeting); err != nil {
		return Version{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if greeting.QMP == nil {
		return Version{}, fmt.Errorf("%w: no QMP greeting", ErrAnswer)
	}
	v := greeting.QMP.Version
	return Version{Number: fmt.Sprintf("%d.%d.%d", v.QEMU.Major, v.QEMU.Minor, v.QEMU.Micro), Package: v.Package}, nil
}

// checkAnswer tells events from answers, and returns the error that an answer may be. The parsers of the answers
// find out whether those that begin well also end well.
func checkAnswer(line []byte) (event bool, err error) {
	if bytes.HasPrefix(line, []byte(`{"return":`)) {
		return false, nil
	}
	var message struct {
		Event  string
		Return json.RawMessage
		Error  *struct{ Class, Desc string }
	}
	if err := json.Unmarshal(line, &message); err != nil {
		return false, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	switch {
	case message.Error != nil:
		return false, fmt.Errorf("%w: %s: %s", ErrRefused, message.Error.Class, message.Error.Desc)
	case message.Event != "":
		return true, nil
	case message.Return == nil:
		return false, fmt.Errorf("%w: neither an answer nor an event", ErrAnswer)
	}
	return false, nil
}
