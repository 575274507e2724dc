package adminsocket

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
)

const answer = `{"osd":{"op":1,"op_latency":{"avgcount":2,"sum":0.5,"avgtime":0.25}}}`

func listen(t *testing.T) *asoktest.Server {
	t.Helper()
	s, err := asoktest.Listen(filepath.Join(t.TempDir(), "ceph-osd.0.asok"), map[string][]byte{"perf dump": []byte(answer)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// short is a context for calls that are expected to run into their deadline, but not before they have connected.
func short(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestCall(t *testing.T) {
	s := listen(t)
	var c Client
	reply, err := c.Call(t.Context(), s.Path(), PerfDump, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(reply.Data) != answer {
		t.Errorf("data = %s, want %s", reply.Data, answer)
	}
	if reply.PID != os.Getpid() {
		t.Errorf("PID = %d, want %d", reply.PID, os.Getpid())
	}
	if len(c.turns) != 0 {
		t.Errorf("client still knows %d sockets after the call", len(c.turns))
	}
}

func TestCallUsesBuffer(t *testing.T) {
	s := listen(t)
	var c Client
	buf := make([]byte, 0, 4096)
	reply, err := c.Call(t.Context(), s.Path(), PerfDump, buf)
	if err != nil {
		t.Fatal(err)
	}
	if &reply.Data[:1][0] != &buf[:1][0] {
		t.Error("answer is not in the buffer although it fits")
	}
}

func TestCallFaults(t *testing.T) {
	tests := map[asoktest.Fault]error{
		asoktest.HangBeforeAccept: context.DeadlineExceeded,
		asoktest.HangBeforeAnswer: context.DeadlineExceeded,
		asoktest.HangInAnswer:     context.DeadlineExceeded,
		asoktest.HangAfterAnswer:  nil, // we have what we want
		asoktest.CloseEarly:       ErrReply,
		asoktest.CloseInAnswer:    ErrReply,
		asoktest.LengthTooLarge:   ErrReply,
		asoktest.LengthTooSmall:   nil, // for the parser to find out
		asoktest.LengthHuge:       ErrReply,
		asoktest.Refuse:           ErrRefused,
		asoktest.BrokenJSON:       nil, // for the parser to find out
	}
	for _, fault := range asoktest.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			s := listen(t)
			s.SetFault(fault)
			var c Client
			want, ctx := tests[fault], t.Context()
			if errors.Is(want, context.DeadlineExceeded) {
				ctx = short(t)
			}
			if _, err := c.Call(ctx, s.Path(), PerfDump, nil); !errors.Is(err, want) {
				t.Fatalf("error = %v, want %v", err, want)
			}
			s.SetFault(asoktest.None)
			c.waitForAll(t)
			if _, err := c.Call(t.Context(), s.Path(), PerfDump, nil); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

// waitForAll waits until the daemons have answered everything that was asked.
func (c *Client) waitForAll(t *testing.T) {
	t.Helper()
	for {
		c.mu.Lock()
		n := len(c.turns)
		c.mu.Unlock()
		if n == 0 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("client still waits for answers")
		}
		time.Sleep(time.Millisecond)
	}
}

// However often a daemon that hangs is asked, one connection waits in its queue, and it is not asked before it has
// answered there.
func TestHungDaemonIsLeftAlone(t *testing.T) {
	for _, fault := range []asoktest.Fault{asoktest.HangBeforeAccept, asoktest.HangBeforeAnswer, asoktest.HangInAnswer} {
		t.Run(fault.String(), func(t *testing.T) {
			s := listen(t)
			s.SetFault(fault)
			var c Client
			_, first := c.Call(short(t), s.Path(), PerfDump, nil)
			for range asoktest.Backlog + 1 {
				if _, err := c.Call(t.Context(), s.Path(), PerfDump, nil); !errors.Is(err, first) {
					t.Fatalf("error = %v, want that of the first call: %v", err, first)
				}
			}
			s.SetFault(asoktest.None)
			c.waitForAll(t)
			if got := s.Commands(); len(got) != 1 {
				t.Errorf("daemon got %d commands while it hung, want 1", len(got))
			}
			if s.MostAtOnce() != 1 {
				t.Errorf("%d connections at once, want 1", s.MostAtOnce())
			}
		})
	}
}

// A daemon that comes back must not have to wait for us to read an answer that is larger than the socket's buffer.
func TestLateAnswerIsRead(t *testing.T) {
	s := listen(t)
	s.SetAnswers(map[string][]byte{"perf dump": []byte(`{"x":"` + strings.Repeat("x", 4<<20) + `"}`)})
	s.SetFault(asoktest.HangBeforeAnswer)
	var c Client
	if _, err := c.Call(short(t), s.Path(), PerfDump, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	s.SetFault(asoktest.None)
	c.waitForAll(t)
}

func TestDeadDaemonIsNotWaitedFor(t *testing.T) {
	s := listen(t)
	s.SetFault(asoktest.HangBeforeAnswer)
	var c Client
	if _, err := c.Call(short(t), s.Path(), PerfDump, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	s.Die()
	c.waitForAll(t)
	if _, err := c.Call(t.Context(), s.Path(), PerfDump, nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error = %v, want %v", err, syscall.ECONNREFUSED)
	}
}

// A new socket at the same path is another daemon, even while an old one still hangs.
func TestNewSocketIsAsked(t *testing.T) {
	s := listen(t)
	s.SetFault(asoktest.HangBeforeAnswer)
	var c Client
	if _, err := c.Call(short(t), s.Path(), PerfDump, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := os.Rename(s.Path(), s.Path()+".old"); err != nil {
		t.Fatal(err)
	}
	second, err := asoktest.Listen(s.Path(), map[string][]byte{"perf dump": []byte(answer)})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := c.Call(t.Context(), s.Path(), PerfDump, nil); err != nil {
		t.Error(err)
	}
}

func TestOneConnectionAtATime(t *testing.T) {
	s := listen(t)
	var c Client
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Call(t.Context(), s.Path(), PerfDump, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.MostAtOnce() != 1 {
		t.Errorf("%d connections at once, want 1", s.MostAtOnce())
	}
}

func TestFullQueue(t *testing.T) {
	s := listen(t)
	s.SetFault(asoktest.HangBeforeAccept)
	defer s.SetFault(asoktest.None)
	var dialer net.Dialer
	for range 3 * asoktest.Backlog {
		if conn, err := dialer.DialContext(t.Context(), "unix", s.Path()); err == nil {
			defer conn.Close()
		}
	}
	var c Client
	if _, err := c.Call(t.Context(), s.Path(), PerfDump, nil); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("error = %v, want %v", err, syscall.EAGAIN)
	}
}

func TestCallWithoutDaemon(t *testing.T) {
	dir := t.TempDir()
	s, err := asoktest.Listen(filepath.Join(dir, "stale.asok"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Die()
	plain := filepath.Join(dir, "plain.asok")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var c Client
	for path, want := range map[string]error{
		s.Path():                        syscall.ECONNREFUSED,
		plain:                           syscall.ECONNREFUSED,
		filepath.Join(dir, "none.asok"): fs.ErrNotExist,
	} {
		if _, err := c.Call(t.Context(), path, PerfDump, nil); !errors.Is(err, want) {
			t.Errorf("%s: error = %v, want %v", filepath.Base(path), err, want)
		}
	}
}

// The socket's mode keeps out who is not root: here, this thread with another user's rights on files.
func TestCallWithoutPermission(t *testing.T) {
	s := listen(t)
	if err := os.Chmod(s.Path(), 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends with the goroutine
		if os.Geteuid() == 0 {
			const nobody = 65534
			for dir := filepath.Dir(s.Path()); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Error(err)
				}
			}
			_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		}
		var c Client
		_, err := c.Call(t.Context(), s.Path(), PerfDump, nil)
		done <- err
	}()
	if err := <-done; !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error = %v, want %v", err, fs.ErrPermission)
	}
}

func TestCancelledWhileAnotherCallRuns(t *testing.T) {
	s := listen(t)
	s.SetFault(asoktest.HangBeforeAnswer)
	var c Client
	done := make(chan error)
	go func() {
		_, err := c.Call(t.Context(), s.Path(), PerfDump, nil)
		done <- err
	}()
	for len(s.Commands()) == 0 {
		runtime.Gosched()
	}
	if _, err := c.Call(short(t), s.Path(), PerfDump, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want %v", err, context.DeadlineExceeded)
	}
	s.SetFault(asoktest.None)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// slowReader gives one byte at a time and then, for ever, nothing.
type slowReader struct{ data string }

func (r *slowReader) Read(p []byte) (int, error) {
	if r.data == "" {
		return 0, io.ErrUnexpectedEOF
	}
	p[0] = r.data[0]
	r.data = r.data[1:]
	return 1, nil
}

func TestReadReply(t *testing.T) {
	tests := []struct {
		name, frame, want string
		err               error
	}{
		{"empty", "\x00\x00\x00\x00", "", nil},
		{"whole", "\x00\x00\x00\x02{}", "{}", nil},
		{"more than announced", "\x00\x00\x00\x02{}{}", "{}", nil},
		{"less than announced", "\x00\x00\x00\x09{}", "", io.ErrUnexpectedEOF},
		{"no length", "\x00\x00", "", io.ErrUnexpectedEOF},
		{"nothing", "", "", io.ErrUnexpectedEOF},
		{"huge", "\xff\xff\xff\xff{}", "", ErrReply},
		{"error", "\x00\x00\x00\x10ERROR: (22) no\nx", "", ErrRefused},
		{"begins like an error", "\x00\x00\x00\x05ERROR", "ERROR", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := readReply(&slowReader{test.frame}, make([]byte, 0, 1))
			if !errors.Is(err, test.err) {
				t.Fatalf("error = %v, want %v", err, test.err)
			}
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x10ERROR: (22) no\nx"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		got, err := readReply(&slowReader{string(frame)}, nil)
		if err == nil && string(got) != string(frame[4:4+len(got)]) {
			t.Errorf("got %q of frame %q", got, frame)
		}
	})
}
