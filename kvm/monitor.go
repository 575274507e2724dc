package kvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"time"
)

var (
	// ErrBusy is in the error when somebody else uses all of the guest's monitors. None of them was touched.
	ErrBusy = errors.New("monitor is in use by somebody else")
	// ErrStuck is in the error when QEMU has not yet taken notice of an earlier connection that we gave up. It
	// gets no further one before it has.
	ErrStuck = errors.New("guest has not taken notice of our last connection")
	// ErrNoMonitor is in the error when nobody listens on any of the guest's monitors.
	ErrNoMonitor = errors.New("no QMP monitor listens")
)

const (
	// MaxHold is how long a monitor is held or queued for at most, far below the 5 s after which Ganeti gives
	// up on it. A guest that is well answers within a few milliseconds.
	MaxHold = 2 * time.Second
	// shortUse is how long to wait for a monitor in use: most uses are that short, and QEMU needs a moment to notice that
	// our own last one is over, a longer one on a busy node.
	shortUse = 100 * time.Millisecond
	// lookAgain is how long to wait from one look to the next.
	lookAgain = 20 * time.Millisecond
)

// Monitor is the QMP side of one running guest. A QMP monitor serves one client at a time: a second one hangs in
// its queue, and a third is refused. Ganeti would be that one, so Monitor looks before it connects.
// It is not safe for concurrent use.
type Monitor struct {
	sockets *Sockets
	paths   []string
	// shortUse is that for all but tests.
	shortUse time.Duration
	// greeting is what QEMU said last, and version what it meant.
	greeting []byte
	version  Version
}

// NewMonitor makes a Monitor of a guest that listens on the given paths, the one to prefer first.
func NewMonitor(sockets *Sockets, paths ...string) *Monitor {
	m := &Monitor{sockets: sockets, shortUse: shortUse}
	for _, path := range paths {
		m.paths = append(m.paths, filepath.Join(realDir(filepath.Dir(path)), filepath.Base(path)))
	}
	return m
}

// Open connects to the first of the guest's monitors that is free. Close the session soon. Answers are read into
// buf where they fit; buf may be nil.
//
// Errors: ErrBusy, ErrStuck and ErrNoMonitor as above, ErrAnswer, and the context's error when MaxHold or the
// deadline passed.
func (m *Monitor) Open(ctx context.Context, buf []byte) (*Session, error) {
	path, err := m.free(ctx)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil, fmt.Errorf("%w: its queue is full", ErrBusy)
	case err != nil:
		return nil, fmt.Errorf("connect to monitor: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(MaxHold)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to monitor: %w", err)
	}
	s := newSession(ctx, conn, buf)
	s.end = func() { m.leave(path, s.err != nil) }
	if err := m.greet(s); err != nil {
		s.err = s.cause(err)
		s.Close()
		return nil, fmt.Errorf("read greeting of %s: %w", path, s.err)
	}
	return s, nil
}

// greet reads what QEMU says first. It is always the same.
func (m *Monitor) greet(s *Session) error {
	line, err := s.message()
	if err != nil {
		return err
	}
	if !bytes.Equal(line, m.greeting) {
		version, err := parseGreeting(line)
		if err != nil {
			return err
		}
		m.greeting, m.version = bytes.Clone(line), version
	}
	s.Greeting, s.Version = m.greeting, m.version
	return nil
}

// free returns the path of the first free monitor. It looks at least twice before it says that there is none.
func (m *Monitor) free(ctx context.Context) (string, error) {
	for end := time.Now().Add(m.shortUse); ; {
		path, err := m.look()
		if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNoMonitor) || time.Now().After(end) {
			return path, err
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (m *Monitor) look() (string, error) {
	result := ErrNoMonitor
	for _, path := range m.paths {
		use, err := m.sockets.use(path)
		if err != nil {
			return "", err
		}
		left, unfinished := m.sockets.unfinished(path)
		switch {
		case !use.Listening:
		case use.Free():
			m.sockets.finished(path)
			return path, nil
		case unfinished && use.within(left):
			return "", ErrStuck
		default:
			result = ErrBusy
		}
	}
	return "", result
}

// leave notes what is left of a connection that we closed in the middle. A QEMU that hangs keeps it until it
// wakes up, and it must be told from somebody else's.
func (m *Monitor) leave(path string, inTheMiddle bool) {
	if !inTheMiddle {
		return
	}
	use, err := m.sockets.useNow(path)
	if err != nil || use.Free() || !use.Listening {
		m.sockets.finished(path)
		return
	}
	m.sockets.leave(path, use)
}
