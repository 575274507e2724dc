package kvm

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm/qmptest"
)

func answers(t testing.TB) map[string]string {
	t.Helper()
	lines := make(map[string]string)
	for _, q := range Queries() {
		lines[q.String()] = strings.TrimSpace(string(readAnswer(t, "7.2-drive", q)))
	}
	return lines
}

func readAnswer(tb testing.TB, release string, q Query) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/qemu", release, q.String()+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// shortDir returns a directory whose path leaves room for the name of a UNIX socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qmp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// ask does what one scrape does.
func ask(ctx context.Context, m *Monitor) ([][]byte, error) {
	s, err := m.Open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Ask(QueryStatus, QueryBlockStats)
}

func TestAsk(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	lines := answers(t)
	server := qmptest.Start(t, path, lines)
	m := NewMonitor(NewSockets("/proc"), path)
	s, err := m.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Version.Number + " " + s.Version.Package; got != "7.2.22 Debian 1:7.2+dfsg-7+deb12u18+b3" {
		t.Errorf("got version %q", got)
	}
	first, err := s.Ask(QueryStatus, QueryBlockStats)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Ask(QueryBlock)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	want := []string{lines["query-status"], lines["query-blockstats"], lines["query-block"]}
	var got []string
	for _, answer := range append(first, second...) {
		got = append(got, string(answer))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"query-status", "query-blockstats", "query-block"}, server.Asked()); diff != "" {
		t.Errorf("commands differ (-want +got):\n%s", diff)
	}
}

func TestAskFaults(t *testing.T) {
	tests := map[string]struct {
		fault qmptest.Fault
		want  error
	}{
		"hang before greeting":  {qmptest.HangBeforeGreeting, context.DeadlineExceeded},
		"hang before answer":    {qmptest.HangBeforeAnswer, context.DeadlineExceeded},
		"hang in answer":        {qmptest.HangInAnswer, context.DeadlineExceeded},
		"close before greeting": {qmptest.CloseBeforeGreeting, ErrAnswer},
		"close in answer":       {qmptest.CloseInAnswer, ErrAnswer},
		"wrong greeting":        {qmptest.WrongGreeting, ErrAnswer},
		"events between":        {qmptest.EventsBetween, nil},
		"well again":            {qmptest.None, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(shortDir(t), "inst1.qmp")
			server := qmptest.Start(t, path, answers(t))
			server.Misbehave(test.fault)
			ctx := t.Context()
			if errors.Is(test.want, context.DeadlineExceeded) {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			m := NewMonitor(NewSockets("/proc"), path)
			got, err := ask(ctx, m)
			if !errors.Is(err, test.want) {
				t.Fatalf("got error %v, want %v", err, test.want)
			}
			if test.want == nil && len(got) != 2 {
				t.Errorf("got %d answers, want 2", len(got))
			}
		})
	}
}

// A guest that hangs is held no longer than MaxHold, whatever time there is.
func TestOpenHoldsForMaxHold(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	qmptest.Start(t, path, answers(t)).Misbehave(qmptest.HangInAnswer)
	_, err := ask(t.Context(), NewMonitor(NewSockets("/proc"), path))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "query-status: no answer in time") {
		t.Errorf("got %v, want the deadline", err)
	}
}

// A session ends with its context, in the middle of whatever it waits for.
func TestSessionEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		conn, silent := net.Pipe()
		defer silent.Close()
		s := newSession(ctx, conn, nil)
		defer s.Close()
		if _, err := s.Ask(QueryStatus); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestAskLargeAnswer(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	lines := answers(t)
	lines["query-blockstats"] = `{"return": [` + strings.Repeat(" ", 1<<20) + `]}`
	qmptest.Start(t, path, lines)
	got, err := ask(t.Context(), NewMonitor(NewSockets("/proc"), path))
	if err != nil {
		t.Fatal(err)
	}
	if string(got[1]) != lines["query-blockstats"] {
		t.Errorf("answer of %d bytes came as %d bytes", len(lines["query-blockstats"]), len(got[1]))
	}
}

// endless is a stream without an end of line.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func TestSessionLimitsAnswer(t *testing.T) {
	s := newSession(t.Context(), &pipe{in: endless{}}, nil)
	defer s.Close()
	if err := new(Monitor).greet(s); !errors.Is(err, ErrAnswer) {
		t.Errorf("got %v, want ErrAnswer", err)
	}
	if got := len(s.Buffer()); got > 2*MaxAnswer {
		t.Errorf("read %d bytes, the limit is %d", got, MaxAnswer)
	}
}

func TestAskRefused(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	qmptest.Start(t, path, nil)
	_, err := ask(t.Context(), NewMonitor(NewSockets("/proc"), path))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "query-status has not been found") {
		t.Errorf("got %v, want ErrRefused and QEMU's reason", err)
	}
}

func TestOpenLeavesBusyMonitorAlone(t *testing.T) {
	dir := shortDir(t)
	kvmd, qmp := filepath.Join(dir, "inst1.kvmd"), filepath.Join(dir, "inst1.qmp")
	sockets := NewSockets("/proc")
	m := NewMonitor(sockets, kvmd, qmp)
	if _, err := m.Open(t.Context(), nil); !errors.Is(err, ErrNoMonitor) {
		t.Fatalf("without a monitor: got %v, want ErrNoMonitor", err)
	}
	first := qmptest.Start(t, kvmd, answers(t))
	second := qmptest.Start(t, qmp, answers(t))

	if _, err := ask(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := len(first.Asked()); got != 2 {
		t.Errorf("the preferred monitor was asked %d commands, want 2", got)
	}
	dial(t, kvmd)
	sockets.Forget()
	if _, err := ask(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := len(second.Asked()); got != 2 {
		t.Errorf("the other monitor was asked %d commands, want 2", got)
	}
	dial(t, qmp)
	sockets.Forget()
	if _, err := ask(t.Context(), m); !errors.Is(err, ErrBusy) {
		t.Errorf("both in use: got %v, want ErrBusy", err)
	}
	use, err := sockets.useNow(qmp)
	if err != nil {
		t.Fatal(err)
	}
	if use.Queued != 0 || len(use.Accepted) != 1 {
		t.Errorf("a busy monitor was touched: %+v", use)
	}
}

func TestOpenWaitsForShortUse(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	qmptest.Start(t, path, answers(t))
	m := NewMonitor(NewSockets("/proc"), path)
	m.shortUse = time.Minute // the end of the last use may be noticed late
	for range 5 {
		if _, err := ask(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenSendsNoSecondConnectionToStuckGuest(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	server := qmptest.StartFrozen(t, path, answers(t))
	sockets := NewSockets("/proc")
	m := NewMonitor(sockets, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // to connect
	defer cancel()
	if _, err := ask(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("first call: got %v, want the deadline", err)
	}
	for range 3 {
		if _, err := ask(t.Context(), m); !errors.Is(err, ErrStuck) {
			t.Fatalf("next calls: got %v, want ErrStuck", err)
		}
	}
	use, err := sockets.useNow(path)
	if err != nil {
		t.Fatal(err)
	}
	if use.Queued != 1 {
		t.Errorf("got %d connections in the queue, want the first one only", use.Queued)
	}

	server.Wake()
	waitFor(t, func() bool { _, err := ask(t.Context(), m); return err == nil })
}

func TestOpenTellsStuckFromBusy(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	server := qmptest.Start(t, path, answers(t))
	server.Misbehave(qmptest.HangBeforeAnswer)
	sockets := NewSockets("/proc")
	m := NewMonitor(sockets, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // to connect
	defer cancel()
	if _, err := ask(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("first call: got %v, want the deadline", err)
	}
	if _, err := ask(t.Context(), m); !errors.Is(err, ErrStuck) {
		t.Fatalf("next call: got %v, want ErrStuck", err)
	}
	server.Misbehave(qmptest.None)
	server.Drop()
	waitFor(t, func() bool { _, err := ask(t.Context(), m); return err == nil })

	dial(t, path)
	sockets.Forget()
	if _, err := ask(t.Context(), m); !errors.Is(err, ErrBusy) {
		t.Errorf("somebody else's connection: got %v, want ErrBusy", err)
	}
}

func TestOpenQueueFull(t *testing.T) {
	path := filepath.Join(shortDir(t), "inst1.qmp")
	qmptest.StartFrozen(t, path, nil)
	sockets := NewSockets("/proc")
	m := NewMonitor(sockets, path)
	if _, err := sockets.useNow(path); err != nil { // a look from before the queue filled up
		t.Fatal(err)
	}
	for {
		conn, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	sockets.looked = time.Now().Add(time.Hour)
	if _, err := m.Open(t.Context(), nil); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
}

func TestQueriesOnlyRead(t *testing.T) {
	want := []string{
		`{"execute":"query-status"}`, `{"execute":"query-blockstats"}`, `{"execute":"query-block"}`,
	}
	var got []string
	for _, q := range Queries() {
		got = append(got, strings.TrimSpace(string(q.line)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the allow-list has changed (-want +got):\n%s", diff)
	}
}

// dial connects as Ganeti does, reads the greeting and stays.
func dial(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatal("waited in vain")
}

// pipe is a connection that gives what was put in and takes anything.
type pipe struct {
	net.Conn
	in io.Reader
}

func (p *pipe) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pipe) Write(b []byte) (int, error) { return len(b), nil }
func (p *pipe) Close() error                { return nil }

func FuzzSession(f *testing.F) {
	all := answers(f)
	f.Add(qmptest.Greeting + "\r\n{\"return\": {}}\r\n" + all["query-status"] + "\r\n" + all["query-blockstats"] + "\r\n")
	f.Add(qmptest.Greeting + "\n{\"event\": \"STOP\"}\n{\"return\": {}}\n{\"error\": {\"class\": \"x\", \"desc\": \"y\"}}\n")
	f.Add("{}\n[]\n")
	f.Fuzz(func(t *testing.T, stream string) {
		s := newSession(t.Context(), &pipe{in: strings.NewReader(stream)}, nil)
		defer s.Close()
		if new(Monitor).greet(s) != nil {
			return
		}
		got, err := s.Ask(QueryStatus, QueryBlockStats)
		if err != nil {
			return
		}
		new(Parser).Status(got[0])
		new(Parser).BlockStats(got[1])
	})
}
