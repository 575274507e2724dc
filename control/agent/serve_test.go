package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/flock"
)

// handler does what a test wants.
type handler func(ctx context.Context, action string, payload json.RawMessage, progress func(string)) (any, error)

var _ agent.Handler = handler(nil)

func (h handler) Handle(ctx context.Context, action string, payload json.RawMessage, progress func(string)) (any, error) {
	return h(ctx, action, payload, progress)
}

func echo(_ context.Context, action string, payload json.RawMessage, progress func(string)) (any, error) {
	switch action {
	case "fail":
		return nil, errors.New("mkfs osd.3: no space")
	case "panic":
		panic("nil map")
	case "odd":
		return func() {}, nil
	}
	progress("doing " + action)
	return map[string]any{"action": action, "payload": payload}, nil
}

func options(t *testing.T, h handler) agent.Options {
	return agent.Options{
		Version: "1.2.3", Host: "node3", Handlers: map[string]agent.Handler{"": h, "ceph": h},
		Lock: filepath.Join(t.TempDir(), "agent.lock"),
	}
}

const greeting = `{"kind":"hello","version":"1.2.3","protocol":1,"host":"node3"}` + "\n"

func TestServe(t *testing.T) {
	tests := []struct{ name, request, want string }{
		{
			"observe", `{"protocol":1,"version":"1.2.3","storage_type":"ceph","action":"observe","payload":{"a":1}}`,
			`{"kind":"progress","text":"doing observe"}` + "\n" + `{"kind":"result","data":{"action":"observe","payload":{"a":1}}}`,
		},
		{
			"own action", `{"protocol":1,"version":"1.2.3","action":"put"}`,
			`{"kind":"progress","text":"doing put"}` + "\n" + `{"kind":"result","data":{"action":"put","payload":null}}`,
		},
		{"error", `{"protocol":1,"version":"1.2.3","action":"fail"}`, `{"kind":"error","text":"mkfs osd.3: no space"}`},
		{
			"panic", `{"protocol":1,"version":"1.2.3","action":"panic"}`,
			`{"kind":"error","text":"panic: panic: nil map (a mistake in cephctl: please report it)"}`,
		},
		{
			"result that is no JSON", `{"protocol":1,"version":"1.2.3","action":"odd"}`,
			`{"kind":"error","text":"encode result of odd: json: unsupported type: func()"}`,
		},
		{
			"other protocol", `{"protocol":2,"version":"2.0.0","action":"observe"}`,
			`{"kind":"error","text":"node3 speaks protocol 1 (cephctl 1.2.3), the master 2 (cephctl 2.0.0): install the same version on both"}`,
		},
		{
			"other version", `{"protocol":1,"version":"1.2.4","action":"observe"}`,
			`{"kind":"error","text":"node3 has cephctl 1.2.3, the master 1.2.4: install the same version on both"}`,
		},
		{
			"other storage", `{"protocol":1,"version":"1.2.3","storage_type":"gluster","action":"observe"}`,
			`{"kind":"error","text":"storage type \"gluster\" is unknown here: known are ceph"}`,
		},
		{
			"nothing", ``,
			`{"kind":"error","text":"no request has come on standard input: cephctl on the master runs this, people do not"}`,
		},
		{"secret that is no JSON", `{"key":AQBsecret==}`, `{"kind":"error","text":"read request: it is not the JSON that was expected"}`},
		{"two", `{"protocol":1,"version":"1.2.3","action":"a"} {}`, `{"kind":"error","text":"read request: there is more than one"}`},
		{"too large", `{"action":"` + strings.Repeat("x", 17<<20), `{"kind":"error","text":"read request: it is larger than 16 MiB"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := agent.Serve(t.Context(), strings.NewReader(test.request), &out, options(t, echo))
			if diff := cmp.Diff(greeting+test.want+"\n", out.String()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if (err != nil) != strings.Contains(test.want, `"kind":"error"`) {
				t.Errorf("Serve returns %v", err)
			}
		})
	}
}

// The master keeps its end open: the agent must not wait for it to close.
func TestServeDoesNotWaitForTheEndOfInput(t *testing.T) {
	in, master := io.Pipe()
	defer master.Close()
	go func() { _, _ = master.Write([]byte(`{"protocol":1,"version":"1.2.3","action":"observe"}`)) }()
	var out bytes.Buffer
	if err := agent.Serve(t.Context(), in, &out, options(t, echo)); err != nil {
		t.Error(err)
	}
}

func TestServeRequestThatNeverComes(t *testing.T) {
	in, master := io.Pipe()
	defer master.Close()
	o := options(t, echo)
	o.RequestTimeout = time.Millisecond
	err := agent.Serve(t.Context(), in, io.Discard, o)
	if err == nil || !strings.Contains(err.Error(), "no request") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := agent.Serve(ctx, in, io.Discard, options(t, echo)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Progress and commands are told from goroutines, and one of them goes on after the end: every line is whole and the
// result is the last.
func TestServeEventsFromGoroutines(t *testing.T) {
	var onRun func(string)
	late := make(chan struct{})
	o := options(t, func(_ context.Context, _ string, _ json.RawMessage, progress func(string)) (any, error) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { progress("p") })
			all.Go(func() { onRun("ceph -s") })
		}
		all.Wait()
		go func() {
			<-late
			progress("late")
			close(late)
		}()
		return "done", nil
	})
	o.Attach = func(f func(string)) { onRun = f }
	var out bytes.Buffer
	if err := agent.Serve(t.Context(), strings.NewReader(`{"protocol":1,"version":"1.2.3","action":"x"}`), &out, o); err != nil {
		t.Fatal(err)
	}
	late <- struct{}{}
	<-late
	count := map[string]int{}
	data, err := agent.Read(&out, func(e agent.Event) { count[e.Kind]++ })
	if err != nil || string(data) != `"done"` || out.Len() != 0 {
		t.Errorf("got %s, %v, and then %q", data, err, &out)
	}
	if diff := cmp.Diff(map[string]int{"hello": 1, "progress": 50, "run": 50}, count); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// broken is the output when the master is gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestServeGoesOnWithoutMaster(t *testing.T) {
	finished := false
	o := options(t, func(_ context.Context, _ string, _ json.RawMessage, progress func(string)) (any, error) {
		progress("first half")
		finished = true
		return nil, nil
	})
	err := agent.Serve(t.Context(), strings.NewReader(`{"protocol":1,"version":"1.2.3","action":"x"}`), broken{}, o)
	if err != nil || !finished {
		t.Errorf("error %v, finished %t", err, finished)
	}
}

func TestServeLock(t *testing.T) {
	o := options(t, echo)
	release, err := flock.Take(o.Lock, flock.Me("add-osd"))
	if err != nil {
		t.Fatal(err)
	}
	serve := func(ctx context.Context, action string, told func(agent.Event)) error {
		in := strings.NewReader(`{"protocol":1,"version":"1.2.3","action":"` + action + `"}`)
		r, w := io.Pipe()
		go func() { _ = agent.Serve(ctx, in, w, o); w.Close() }()
		_, err := agent.Read(r, told)
		_, _ = io.Copy(io.Discard, r)
		return err
	}
	if err := serve(t.Context(), "observe", nil); err != nil {
		t.Errorf("observe has waited: %v", err)
	}
	o.LockTimeout = time.Millisecond
	if err := serve(t.Context(), "x", nil); err == nil || !strings.Contains(err.Error(), "add-osd") {
		t.Errorf("error %v does not name the holder", err)
	}
	o.LockTimeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	stop := func(e agent.Event) {
		if e.Kind == agent.KindProgress {
			cancel()
		}
	}
	if err := serve(ctx, "x", stop); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v of a wait that was given up", err)
	}
	var waits []string
	err = serve(t.Context(), "x", func(e agent.Event) {
		if e.Kind == agent.KindProgress {
			waits = append(waits, e.Text)
			release()
		}
	})
	if err != nil || len(waits) != 2 || !strings.Contains(waits[0], "add-osd") || waits[1] != "doing x" {
		t.Errorf("error %v, progress %q", err, waits)
	}
}

// locker is a handler with locks of its own.
type locker struct {
	handler
	path string
}

func (l locker) Lock(action string, _ json.RawMessage) string {
	if action == "look" {
		return ""
	}
	return l.path
}

// A handler with locks of its own waits for these alone.
func TestServeOwnLocks(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own")
	o := options(t, echo)
	o.Handlers = map[string]agent.Handler{"": locker{echo, own}}
	o.LockTimeout = 50 * time.Millisecond
	for _, test := range []struct {
		held, action string
		waits        bool
	}{{o.Lock, "start", false}, {own, "start", true}, {own, "look", false}} {
		release, err := flock.Take(test.held, flock.Me("another"))
		if err != nil {
			t.Fatal(err)
		}
		in := strings.NewReader(`{"protocol":1,"version":"1.2.3","action":"` + test.action + `"}`)
		if err := agent.Serve(t.Context(), in, io.Discard, o); (err != nil) != test.waits {
			t.Errorf("%s while %s is held: %v", test.action, test.held, err)
		}
		release()
	}
}
