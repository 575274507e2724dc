package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

var (
	errRefused = errors.New("the user says no")
	errBroken  = errors.New("it is broken")
)

// recorder is a UI that writes down what it is told.
type recorder struct {
	mu      sync.Mutex
	told    []string
	consent error
}

var _ control.UI = (*recorder)(nil)

func (r *recorder) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *recorder) Consent(_ context.Context, plan *control.Plan) error {
	r.add("consent %s", plan.Title)
	return r.consent
}
func (r *recorder) Resuming(op *state.Operation)                { r.add("resuming %s", op.Kind) }
func (r *recorder) Started(_ *control.Plan, step *control.Step) { r.add("started %s", step.ID) }
func (r *recorder) Progress(step *control.Step, text string)    { r.add("progress %s: %s", step.ID, text) }

func (r *recorder) Finished(step *control.Step, err error) { r.add("finished %s: %v", step.ID, err) }

func (r *recorder) want(t *testing.T, told ...string) { t.Helper(); equal(t, "told", told, r.told) }

func newEnv() (*control.Env, *controltest.Store) {
	store := &controltest.Store{}
	return &control.Env{Store: store, Log: slog.New(slog.DiscardHandler), Parallel: 4}, store
}

func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// change returns a change with these steps.
func change(steps ...control.Step) control.Change {
	return control.Change{
		Kind: "test", Target: "x", Command: "cephctl test x",
		Plan: func(context.Context, *control.Memory) (*control.Plan, error) {
			return &control.Plan{Title: "a test", Steps: steps}, nil
		},
	}
}

func step(id string, do func() error) control.Step {
	return control.Step{ID: id, Node: "node1", Title: "do " + id, Do: func(_ context.Context, progress func(string)) error {
		progress("half")
		return do()
	}}
}

func good() error { return nil }

func operation(t *testing.T, store control.Store) *state.Operation {
	t.Helper()
	st, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	return st.Operation
}

func TestExecute(t *testing.T) {
	env, store := newEnv()
	var points []string
	env.Points = func(where, step string) { points = append(points, where+" "+step) }
	ui := &recorder{}
	checked := false
	a := step("a", func() error {
		if !checked {
			t.Error("done without a check")
		}
		equal(t, "operation", "cephctl test x", operation(t, store).Command)
		return nil
	})
	a.Check = func(context.Context) error { checked = true; return nil }
	plan, err := env.Execute(t.Context(), change(a, step("b", func() error {
		equal(t, "done", []string{"a"}, operation(t, store).Done)
		return nil
	})), ui)
	if err != nil || plan.Title != "a test" {
		t.Fatalf("%v, %v", plan, err)
	}
	ui.want(t, "consent a test", "started a", "progress a: half", "finished a: <nil>", "started b", "progress b: half", "finished b: <nil>")
	equal(t, "points", []string{"begin a", "effect a", "done a", "begin b", "effect b", "done b"}, points)
	if operation(t, store) != nil {
		t.Error("the operation is left")
	}
}

func TestExecuteNothing(t *testing.T) {
	env, store := newEnv()
	ui := &recorder{}
	if _, err := env.Execute(t.Context(), change(), ui); err != nil {
		t.Fatal(err)
	}
	ui.want(t)
	if st, err := store.Load(); err != nil || st.Serial != 0 {
		t.Errorf("it was written: %+v, %v", st, err)
	}
}

func TestNoConsent(t *testing.T) {
	env, store := newEnv()
	if _, err := env.Execute(t.Context(), change(step("a", func() error { t.Error("done"); return nil })), &recorder{consent: errRefused}); !errors.Is(err, errRefused) {
		t.Errorf("want %v, got %v", errRefused, err)
	}
	if operation(t, store) != nil {
		t.Error("the operation is remembered")
	}
}

func TestBlocked(t *testing.T) {
	env, store := newEnv()
	blocked := change(step("a", good))
	blocked.Plan = func(context.Context, *control.Memory) (*control.Plan, error) {
		plan := &control.Plan{}
		plan.Block("node1", "memory", "buy some", "has %d bytes", 3)
		plan.Block("", "health", "", "is ill")
		return plan, nil
	}
	ui := &recorder{}
	plan, err := env.Execute(t.Context(), blocked, ui)
	if !errors.Is(err, control.ErrBlocked) {
		t.Fatalf("want %v, got %v", control.ErrBlocked, err)
	}
	equal(t, "lines", []string{"node1: has 3 bytes: buy some", "is ill"}, []string{plan.Blockers[0].String(), plan.Blockers[1].String()})
	ui.want(t)
	if operation(t, store) != nil {
		t.Error("the operation is remembered")
	}
}

func TestPlanError(t *testing.T) {
	env, _ := newEnv()
	bad := change()
	bad.Plan = func(context.Context, *control.Memory) (*control.Plan, error) { return nil, errBroken }
	if _, err := env.Execute(t.Context(), bad, &recorder{}); !errors.Is(err, errBroken) {
		t.Errorf("want %v, got %v", errBroken, err)
	}
	if _, err := env.Preview(t.Context(), bad); !errors.Is(err, errBroken) {
		t.Errorf("want %v, got %v", errBroken, err)
	}
}

// TestResume goes on with what failed, with the same memory, and lets no other change begin.
func TestResume(t *testing.T) {
	env, store := newEnv()
	var decided []string
	fail := errBroken
	c := change()
	c.Plan = func(_ context.Context, memory *control.Memory) (*control.Plan, error) {
		decided = append(decided, memory.Keep("uuid", func() string { return fmt.Sprint(len(decided)) }))
		decided = append(decided, memory.Get("found"))
		s := step("a", func() error {
			if err := memory.Set("found", "later"); err != nil {
				return err
			}
			return fail
		})
		return &control.Plan{Steps: []control.Step{s}}, nil
	}
	_, err := env.Execute(t.Context(), c, &recorder{})
	if !errors.Is(err, errBroken) || !strings.HasSuffix(err.Error(), "node1: do a: it is broken\nto go on, run this again: cephctl test x\nto give it up: cephctl storage cancel") {
		t.Errorf("got %v", err)
	}
	other := change()
	other.Target = "y"
	plan, err := env.Execute(t.Context(), other, &recorder{})
	if !errors.Is(err, control.ErrBlocked) || plan.Blockers[0].Case != "operation-pending" {
		t.Errorf("want operation-pending, got %v", err)
	}
	if preview, err := env.Preview(t.Context(), other); err != nil || len(preview.Blockers) != 1 {
		t.Errorf("want operation-pending, got %v, %v", preview, err)
	}
	if _, err := env.Preview(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	fail = nil
	ui := &recorder{}
	if _, err := env.Execute(t.Context(), c, ui); err != nil {
		t.Fatal(err)
	}
	equal(t, "decided", []string{"0", "", "0", "later", "0", "later"}, decided)
	equal(t, "told first", "resuming test", ui.told[0])
	if operation(t, store) != nil {
		t.Error("the operation is left")
	}
}

// TestResumeNothing forgets an operation of which nothing is left to do.
func TestResumeNothing(t *testing.T) {
	env, store := newEnv()
	if _, err := env.Execute(t.Context(), change(step("a", func() error { return errBroken })), &recorder{}); err == nil {
		t.Fatal("want an error")
	}
	if _, err := env.Execute(t.Context(), change(), &recorder{}); err != nil {
		t.Fatal(err)
	}
	if operation(t, store) != nil {
		t.Error("the operation is left")
	}
}

func TestCheckFails(t *testing.T) {
	env, store := newEnv()
	b := step("b", func() error { t.Error("done"); return nil })
	b.Check = func(context.Context) error { return errBroken }
	if _, err := env.Execute(t.Context(), change(step("a", good), b), &recorder{}); !errors.Is(err, errBroken) {
		t.Errorf("want %v, got %v", errBroken, err)
	}
	if op := operation(t, store); op == nil || !slices.Equal(op.Done, []string{"a"}) {
		t.Errorf("operation: %+v", op)
	}
}

// TestNothingDone forgets what has failed before anything was done, and nothing else.
func TestNothingDone(t *testing.T) {
	refused := fmt.Errorf("a job: %w", control.ErrNotDone)
	halfway := control.Halfway(refused)
	if halfway.Error() != refused.Error() || !errors.Is(control.Halfway(errBroken), errBroken) || control.Halfway(nil) != nil {
		t.Errorf("halfway: %v", halfway)
	}
	single := func(id string, err error) control.Step {
		s := step(id, func() error { return err })
		s.Refusable = true
		return s
	}
	unchecked := step("a", good)
	unchecked.Check = func(context.Context) error { return errBroken }
	begun := make(chan struct{})
	first, beside := single("a", refused), single("b", errBroken)
	first.Together, beside.Together, beside.Node = "w", "w", "node2"
	first.Do = func(context.Context, func(string)) error { <-begun; return refused }
	beside.Do = func(context.Context, func(string)) error { close(begun); return errBroken }
	for name, c := range map[string]struct {
		steps      []control.Step
		unattended bool
		forgotten  bool
	}{
		"refused":                    {[]control.Step{single("a", refused), step("b", good)}, false, true},
		"by the check":               {[]control.Step{unchecked}, false, true},
		"of several requests":        {[]control.Step{step("a", func() error { return refused })}, false, false},
		"of several, the second":     {[]control.Step{single("a", halfway)}, false, false},
		"with an end nobody knows":   {[]control.Step{single("a", errBroken)}, false, false},
		"after another":              {[]control.Step{step("a", good), single("b", refused)}, false, false},
		"beside one nobody knows of": {[]control.Step{first, beside}, false, false},
		"of a hook":                  {[]control.Step{single("a", refused)}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			env, store := newEnv()
			env.Unattended = c.unattended
			_, err := env.Execute(t.Context(), change(c.steps...), &recorder{})
			if err == nil || strings.HasSuffix(err.Error(), "\nnothing was done, and there is nothing to go on with") != c.forgotten {
				t.Errorf("error %v", err)
			}
			if forgotten := operation(t, store) == nil; forgotten != c.forgotten {
				t.Errorf("it is forgotten: %t", forgotten)
			}
		})
	}
}

// TestNothingDoneAgain keeps what was begun before: it may have been done to a part then.
func TestNothingDoneAgain(t *testing.T) {
	env, store := newEnv()
	fail := errBroken
	again := step("a", func() error { return fail })
	again.Refusable = true
	for range 2 {
		if _, err := env.Execute(t.Context(), change(again), &recorder{}); !errors.Is(err, fail) {
			t.Errorf("want %v, got %v", fail, err)
		}
		fail = control.ErrNotDone
	}
	if operation(t, store) == nil {
		t.Error("it is forgotten")
	}
}

func TestCancelledBefore(t *testing.T) {
	env, _ := newEnv()
	ctx, cancel := context.WithCancel(t.Context())
	a := step("a", func() error { cancel(); return nil })
	_, err := env.Execute(ctx, change(a, step("b", func() error { t.Error("done"); return nil })), &recorder{})
	if !control.Cancelled(err) || !strings.HasPrefix(err.Error(), `before "do b" on node1: context canceled`) {
		t.Errorf("got %v", err)
	}
}

func TestLocked(t *testing.T) {
	env, store := newEnv()
	release, err := store.Lock(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := env.Execute(t.Context(), change(step("a", good)), &recorder{}); !errors.Is(err, control.ErrLocked) {
		t.Errorf("want %v, got %v", control.ErrLocked, err)
	}
	if _, err := env.Preview(t.Context(), change(step("a", good))); err != nil {
		t.Errorf("preview takes the lock: %v", err)
	}
}

// TestTogether runs neighbours with the same word at once, those of one node in order, and others after them.
func TestTogether(t *testing.T) {
	env, _ := newEnv()
	var mu sync.Mutex
	var order []string
	var both sync.WaitGroup
	both.Add(2)
	on := func(id, node, together string, wait bool) control.Step {
		s := step(id, func() error {
			if wait { // ends only when both have begun
				both.Done()
				both.Wait()
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, id)
			return nil
		})
		s.Node, s.Together = node, together
		return s
	}
	_, err := env.Execute(t.Context(), change(on("first", "n1", "", false), on("a1", "n1", "w", true), on("a2", "n1", "w", false),
		on("b1", "n2", "w", true), on("other", "n1", "v", false), on("last", "n1", "", false)), &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	if order[0] != "first" || slices.Index(order, "a1") > slices.Index(order, "a2") || order[4] != "other" || order[5] != "last" {
		t.Errorf("order: %q", order)
	}
}

// TestNeighbourFails lets what runs on other nodes come to its end, and begins nothing more.
func TestNeighbourFails(t *testing.T) {
	env, store := newEnv()
	began, failed := make(chan struct{}), make(chan struct{})
	a := control.Step{ID: "a", Node: "n1", Together: "w", Do: func(context.Context, func(string)) error {
		<-began
		defer close(failed)
		return errBroken
	}}
	b := control.Step{ID: "b", Node: "n2", Together: "w", Do: func(ctx context.Context, _ func(string)) error {
		close(began)
		<-failed
		select {
		case <-ctx.Done():
			t.Error("broken off by the neighbour")
		case <-time.After(10 * time.Millisecond):
		}
		return ctx.Err()
	}}
	if _, err := env.Execute(t.Context(), change(a, b, step("c", func() error { t.Error("begun"); return nil })), &recorder{}); !errors.Is(err, errBroken) {
		t.Errorf("want %v, got %v", errBroken, err)
	}
	equal(t, "done", []string{"b"}, operation(t, store).Done)
}

func TestNote(t *testing.T) {
	plan := &control.Plan{}
	plan.Note("%d hosts", 2)
	plan.Note("%d hosts", 2)
	plan.Note("more")
	equal(t, "notes", []string{"2 hosts", "more"}, plan.Notes)
}

func TestMemory(t *testing.T) {
	data := map[string]string{"a": "1", "empty": ""}
	m := control.NewMemory(data)
	equal(t, "kept", "1", m.Keep("a", func() string { return "2" }))
	equal(t, "kept, though empty", "", m.Keep("empty", func() string { return "2" }))
	equal(t, "new", "3", m.Keep("b", func() string { return "3" }))
	if err := m.Set("a", "4"); err != nil {
		t.Fatal(err)
	}
	equal(t, "set", "4", m.Get("a"))
	equal(t, "none", "", m.Get("c"))
	equal(t, "the caller's own", map[string]string{"a": "1", "empty": ""}, data)
}

// A free change goes on while another holds the lock and something else was begun, and leaves nothing to go on with.
func TestFree(t *testing.T) {
	env, store := newEnv()
	release, err := store.Lock(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := store.Update(func(st *state.State) error {
		st.Operation = &state.Operation{Kind: "offline", Target: "node1"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []error{nil, errBroken} {
		free := change(step("a", func() error { return broken }))
		free.Free = true
		if plan, err := env.Preview(t.Context(), free); err != nil || len(plan.Steps) != 1 {
			t.Errorf("preview %v, %v", plan, err)
		}
		ui := &recorder{}
		if _, err := env.Execute(t.Context(), free, ui); !errors.Is(err, broken) || broken == nil && err != nil {
			t.Errorf("error %v, want %v", err, broken)
		}
		ui.want(t, "consent a test", "started a", "progress a: half", fmt.Sprintf("finished a: %v", broken))
	}
	free := change(step("a", func() error { return nil }))
	free.Free = true
	if _, err := env.Execute(t.Context(), free, &recorder{consent: errRefused}); !errors.Is(err, errRefused) {
		t.Errorf("error %v", err)
	}
	after, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "state", before, after)
}
