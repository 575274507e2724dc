// Package qmptest has a fake QMP monitor for what a real QEMU will not do on command: hang, lie and die.
package qmptest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Fault is a way to misbehave.
type Fault int

// The faults.
const (
	// None: the monitor works.
	None Fault = iota
	// HangBeforeGreeting: the connection is accepted, and nothing is said.
	HangBeforeGreeting
	// HangBeforeAnswer: there is a greeting, and commands are not answered.
	HangBeforeAnswer
	// HangInAnswer: the last answer ends in its middle.
	HangInAnswer
	// CloseBeforeGreeting: the connection is closed at once.
	CloseBeforeGreeting
	// CloseInAnswer: the connection is closed in the middle of the last answer.
	CloseInAnswer
	// EventsBetween: there are events before, between and after the answers.
	EventsBetween
	// WrongJSON: the last answer is broken, though its beginning is not.
	WrongJSON
	// WrongGreeting: the greeting is JSON of something else.
	WrongGreeting
)

// Greeting is what a monitor of QEMU 7.2 says first.
const Greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, ` +
	`"package": "Debian 1:7.2+dfsg-7+deb12u18+b3"}, "capabilities": ["oob"]}}`

const event = `{"timestamp": {"seconds": 1795326052, "microseconds": 184258}, "event": "RTC_CHANGE", ` +
	`"data": {"offset": 1, "qom-path": "/machine/unattached/device[7]"}}`

// Server is a fake monitor. Like a real one it serves one client at a time and has a queue of one.
type Server struct {
	listener net.Listener

	mu      sync.Mutex
	answers map[string]string
	fault   Fault
	asked   []string
	conns   map[net.Conn]bool
	closed  bool
	done    sync.WaitGroup
}

// Start makes a monitor listen at path until the test ends. Answers are whole lines by command; what is missing
// is answered as an unknown command.
func Start(tb testing.TB, path string, answers map[string]string) *Server {
	tb.Helper()
	s := StartFrozen(tb, path, answers)
	s.Wake()
	return s
}

// StartFrozen makes a monitor that accepts nobody until Wake, like a stopped process.
func StartFrozen(tb testing.TB, path string, answers map[string]string) *Server {
	tb.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := shortenQueue(listener.(*net.UnixListener)); err != nil {
		tb.Fatal(err)
	}
	s := &Server{listener: listener, answers: answers, conns: make(map[net.Conn]bool)}
	tb.Cleanup(s.Stop)
	return s
}

// Wake makes a frozen monitor accept.
func (s *Server) Wake() { s.done.Go(s.serve) }

func shortenQueue(listener *net.UnixListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var listenErr error
	if err := raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), 1) }); err != nil {
		return err
	}
	return listenErr
}

// Stop ends the monitor and all its connections, as the end of the process does.
func (s *Server) Stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.listener.Close()
	s.Drop()
	s.done.Wait()
}

// Drop closes all connections, as QEMU does when it wakes up and finds them closed.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// Misbehave makes the monitor fail from the next connection on.
func (s *Server) Misbehave(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// SetAnswers gives other answers from now on.
func (s *Server) SetAnswers(answers map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = answers
}

// Connections returns how many connections the monitor has not yet ended.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Asked returns the commands that it was asked so far, without qmp_capabilities.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func (s *Server) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		fault := s.fault
		s.conns[conn] = true
		if s.closed {
			conn.Close()
		}
		s.mu.Unlock()

		s.talk(conn, fault)
		conn.Close()

		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}
}

func (s *Server) talk(conn net.Conn, fault Fault) {
	switch fault {
	case HangBeforeGreeting:
		s.hang(conn)
		return
	case CloseBeforeGreeting:
		return
	case WrongGreeting:
		fmt.Fprint(conn, "{\"hello\": \"world\"}\r\n")
	default:
		fmt.Fprint(conn, Greeting+"\r\n")
	}
	commands := json.NewDecoder(bufio.NewReader(conn))
	for {
		var command struct{ Execute string }
		if commands.Decode(&command) != nil {
			return
		}
		if fault == HangBeforeAnswer {
			s.hang(conn)
			return
		}
		if !s.answer(conn, command.Execute, fault) {
			return
		}
	}
}

// hang waits as a stuck process does, which notices nothing, until Drop or Stop.
func (s *Server) hang(conn net.Conn) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(uintptr) bool { return false })
}

func (s *Server) answer(conn net.Conn, command string, fault Fault) (goOn bool) {
	if command == "qmp_capabilities" {
		return s.say(conn, `{"return": {}}`, fault)
	}
	s.mu.Lock()
	s.asked = append(s.asked, command)
	answer, ok := s.answers[command]
	s.mu.Unlock()
	if !ok {
		answer = fmt.Sprintf(`{"error": {"class": "CommandNotFound", "desc": "The command %s has not been found"}}`, command)
	}
	middle := answer[:len(answer)/2]
	switch fault {
	case HangInAnswer:
		fmt.Fprint(conn, middle)
		s.hang(conn)
		return false
	case CloseInAnswer:
		fmt.Fprint(conn, middle)
		return false
	case WrongJSON:
		return s.say(conn, strings.TrimRight(answer, "}")+"]", fault)
	}
	return s.say(conn, answer, fault)
}

func (s *Server) say(conn net.Conn, line string, fault Fault) bool {
	line += "\r\n"
	if fault == EventsBetween {
		line = event + "\r\n" + line + event + "\r\n"
	}
	_, err := fmt.Fprint(conn, line)
	return err == nil
}
