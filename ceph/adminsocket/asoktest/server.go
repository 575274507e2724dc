// Package asoktest has a fake admin socket: it gives prepared answers, counts what it is asked, and misbehaves on
// command in the ways in which real daemons do.
package asoktest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
)

// Fault is a way to misbehave.
type Fault int

// The faults. Those that hang do so until another fault is set or the server is closed; what hung goes on then as
// the new fault says.
const (
	// None answers as the protocol wants.
	None Fault = iota
	// HangBeforeAccept leaves connections in the queue, like a stopped process.
	HangBeforeAccept
	// HangBeforeAnswer reads the command and says nothing.
	HangBeforeAnswer
	// HangInAnswer stops in the middle of the answer.
	HangInAnswer
	// HangAfterAnswer gives the whole answer and keeps the connection open.
	HangAfterAnswer
	// CloseEarly closes without an answer.
	CloseEarly
	// CloseInAnswer closes in the middle of the answer.
	CloseInAnswer
	// LengthTooLarge announces ten bytes more than come.
	LengthTooLarge
	// LengthTooSmall announces ten bytes less than come.
	LengthTooSmall
	// LengthHuge announces 4 GiB.
	LengthHuge
	// Refuse answers "ERROR: (22) Invalid argument".
	Refuse
	// BrokenJSON leaves out the last ten bytes of the answer, with a length that fits.
	BrokenJSON
)

// String returns the name of the fault, for the names of tests.
func (f Fault) String() string {
	return [...]string{
		"none", "hang before accept", "hang before answer", "hang in answer", "hang after answer", "close early",
		"close in answer", "length too large", "length too small", "length huge", "refuse", "broken JSON",
	}[f]
}

// Faults returns all faults but None.
func Faults() []Fault {
	return []Fault{
		HangBeforeAccept, HangBeforeAnswer, HangInAnswer, HangAfterAnswer, CloseEarly, CloseInAnswer,
		LengthTooLarge, LengthTooSmall, LengthHuge, Refuse, BrokenJSON,
	}
}

// Backlog is the length of the queue that Ceph's daemons ask the kernel for.
const Backlog = 5

// Server is one fake admin socket.
type Server struct {
	path     string
	listener *net.UnixListener
	wg       sync.WaitGroup

	mu       sync.Mutex
	fault    Fault
	changed  chan struct{} // closed when the fault changes
	closed   bool
	answers  map[string][]byte
	commands []string
	open     map[net.Conn]bool // true until the last part of the answer goes out
	most     int
}

// Listen starts a server at path. answers are by command, for example "perf dump"; what is not there is refused.
func Listen(path string, answers map[string][]byte) (*Server, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return nil, fmt.Errorf("bind %s: %w", path, err)
	}
	if err := syscall.Listen(fd, Backlog); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	s := &Server{
		path: path, listener: listener.(*net.UnixListener), changed: make(chan struct{}),
		answers: maps.Clone(answers), open: make(map[net.Conn]bool),
	}
	s.listener.SetUnlinkOnClose(false)
	s.wg.Go(s.accept)
	return s, nil
}

// Path returns where the server listens.
func (s *Server) Path() string { return s.path }

// SetFault makes the server misbehave from now on, and connections that hang go on.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
	close(s.changed)
	s.changed = make(chan struct{})
}

// SetAnswers gives other answers from now on.
func (s *Server) SetAnswers(answers map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = maps.Clone(answers)
}

// Commands returns the commands that were read since the last call of Commands, in their order.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.commands
	s.commands = nil
	return got
}

// MostAtOnce returns how many connections waited for their answer at the same time, at most.
func (s *Server) MostAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Die closes everything as the end of the process would, and leaves the socket's file behind.
func (s *Server) Die() {
	s.mu.Lock()
	s.closed = true
	close(s.changed)
	s.changed = make(chan struct{})
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.listener.Close()
	s.wg.Wait()
}

// Close ends the server and removes the socket's file.
func (s *Server) Close() error {
	s.Die()
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.outlast(HangBeforeAccept) || !s.enter(conn) {
			conn.Close()
			return
		}
		s.wg.Go(func() {
			s.serve(conn)
			s.exit(conn)
		})
	}
}

func (s *Server) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open[conn] = true
	waiting := 0
	for _, waits := range s.open {
		if waits {
			waiting++
		}
	}
	s.most = max(s.most, waiting)
	return true
}

// answered stops counting conn as one that waits: the client may be gone as soon as it has the last byte.
func (s *Server) answered(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = false
}

func (s *Server) exit(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
	conn.Close()
}

// outlast waits while one of the faults is set. It returns false when the server was closed.
func (s *Server) outlast(faults ...Fault) bool {
	for {
		s.mu.Lock()
		hangs, changed, closed := slices.Contains(faults, s.fault), s.changed, s.closed
		s.mu.Unlock()
		if closed || !hangs {
			return !closed
		}
		<-changed
	}
}

func (s *Server) serve(conn net.Conn) {
	prefix, err := readCommand(conn)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.commands = append(s.commands, prefix)
	s.mu.Unlock()
	if !s.outlast(HangBeforeAnswer) {
		return
	}
	s.mu.Lock()
	fault, answer := s.fault, s.answers[prefix]
	s.mu.Unlock()
	if answer == nil || fault == Refuse {
		answer = []byte("ERROR: (22) Invalid argument\nunknown command prefix " + prefix)
	}
	first, rest := spoil(answer, fault)
	if len(rest) == 0 || fault == LengthHuge { // the client goes when it has read the length
		s.answered(conn)
	}
	if _, err := conn.Write(first); err != nil || !s.outlast(HangInAnswer) {
		return
	}
	s.answered(conn)
	if _, err := conn.Write(rest); err != nil {
		return
	}
	s.outlast(HangAfterAnswer)
}

// spoil frames an answer and breaks it as the fault says. A fault that hangs in the answer does so between the two
// parts.
func spoil(answer []byte, fault Fault) (first, rest []byte) {
	length := uint32(len(answer))
	switch fault {
	case CloseEarly:
		return nil, nil
	case LengthTooLarge:
		length += 10
	case LengthTooSmall:
		length -= 10
	case LengthHuge:
		length = 1<<32 - 1
	case BrokenJSON:
		answer = answer[:len(answer)-10]
		length -= 10
	}
	frame := append(binary.BigEndian.AppendUint32(nil, length), answer...)
	middle := len(frame) / 2
	if fault == CloseInAnswer {
		return frame[:middle], nil
	}
	return frame[:middle], frame[middle:]
}

// maxCommand is what a daemon reads at most, with the NUL at the end.
const maxCommand = 1024

func readCommand(conn net.Conn) (prefix string, err error) {
	var request []byte
	for chunk := make([]byte, maxCommand); !bytes.HasSuffix(request, []byte{0}); {
		n, err := conn.Read(chunk)
		if err != nil {
			return "", err
		}
		if request = append(request, chunk[:n]...); len(request) > maxCommand {
			return "", errors.New("command is too long")
		}
	}
	var cmd struct{ Prefix, Format string }
	if err := json.Unmarshal(bytes.TrimSuffix(request, []byte{0}), &cmd); err != nil {
		return "", err
	}
	if cmd.Format != "json" {
		return "", errors.New("command asks for the large, pretty form")
	}
	return cmd.Prefix, nil
}
