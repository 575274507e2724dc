package controltest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// recorder notes what would fail a test.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, strings.TrimSpace(format+" "+strings.Join(words(args), " ")))
}

func words(args []any) []string {
	var words []string
	for _, arg := range args {
		words = append(words, arg.(string))
	}
	return words
}

func TestRunner(t *testing.T) {
	r := controltest.NewRunner(t,
		controltest.Answer{Command: "ceph osd", Stdout: "any"},
		controltest.Answer{Command: "ceph osd tree", Stdout: "tree"},
		controltest.Answer{Command: "ceph mon", Code: 22, Stderr: "EINVAL"},
	)
	for line, want := range map[string]string{"ceph osd dump": "any", "ceph osd tree -f json": "tree", "ceph osd treetop": "any"} {
		got, err := r.Run(t.Context(), nil, strings.Fields(line)...)
		if string(got) != want || err != nil {
			t.Errorf("%s: got %q, %v", line, got, err)
		}
	}
	_, err := r.Run(t.Context(), nil, "ceph", "mon", "stat")
	var coder interface{ ExitCode() int }
	if !errors.As(err, &coder) || coder.ExitCode() != 22 || err.Error() != "run ceph mon stat: exit status 22: EINVAL" {
		t.Errorf("error %v", err)
	}
}

func TestRunnerFailsTheTest(t *testing.T) {
	rec := &recorder{TB: t}
	r := controltest.NewOrderedRunner(rec, controltest.Answer{Command: "a"}, controltest.Answer{Command: "b"})
	for _, program := range []string{"a", "c"} {
		_, _ = r.Run(t.Context(), []byte("in"), program)
	}
	r.Done()
	want := []string{"unexpected command: %s c", "command was not run: %s b"}
	if diff := cmp.Diff(want, rec.said); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "c"}, r.Lines()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	r.Add(controltest.Answer{Command: "x"})
	for _, program := range []string{"b", "x"} { // so that the end of this test finds nothing missing
		if _, err := r.Run(t.Context(), nil, program); err != nil {
			t.Error(err)
		}
	}
}

func TestTransport(t *testing.T) {
	tr := &controltest.Transport{Nodes: map[string]controltest.Node{
		"node1": func(r agent.Request) (any, error) { return r.Action, nil },
		"node2": func(agent.Request) (any, error) { return nil, errors.New("no space") },
		"node3": func(agent.Request) (any, error) { return nil, control.ErrUnreachable },
	}}
	call := func(node string) (string, error) {
		data, err := tr.Call(t.Context(), control.Node{Name: node}, agent.Request{Action: "observe"}, nil)
		return string(data), err
	}
	if data, err := call("node1"); data != `"observe"` || err != nil {
		t.Errorf("got %s, %v", data, err)
	}
	var told *agent.Error
	if _, err := call("node2"); !errors.As(err, &told) || errors.Is(err, control.ErrUnreachable) {
		t.Errorf("error %v", err)
	}
	for _, node := range []string{"node3", "node4"} {
		if _, err := call(node); !errors.Is(err, control.ErrUnreachable) {
			t.Errorf("error %v", err)
		}
	}
	if calls := tr.Calls(); len(calls) != 4 || calls[3].Node != "node4" {
		t.Errorf("calls %v", calls)
	}
}

func TestStore(t *testing.T) {
	s := controltest.NewStore(t, &state.State{Version: 1, Serial: 7})
	none := func(*state.State) error { return nil }
	if err := s.Update(none); !errors.Is(err, state.ErrNotLocked) {
		t.Errorf("update without the lock: %v", err)
	}
	release, err := s.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(t.Context(), "y"); !errors.Is(err, control.ErrLocked) || !strings.HasSuffix(err.Error(), "x") {
		t.Errorf("error %v", err)
	}
	if err := s.Update(none); err != nil {
		t.Error(err)
	}
	release()
	if got, err := s.Load(); err != nil || got.Serial != 8 {
		t.Errorf("got %v, %v", got, err)
	}
}
