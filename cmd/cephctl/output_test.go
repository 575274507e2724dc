package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

func TestWritePlan(t *testing.T) {
	plan := &control.Plan{
		Title:    "take node3 offline",
		Notes:    []string{"node4 is offline already"},
		Destroys: []string{"osd.3"},
		Steps: []control.Step{
			{Node: "node3", Title: "stop osd.3", Commands: []string{"systemctl disable --now ceph-osd@3", "rm -r /var/lib/x"}},
			{Title: "forget it"},
		},
	}
	plan.Block("node3", "quorum", "bring node2 back first", "2 of 3 mons would be gone")
	plan.Block("", "health", "", "HEALTH_ERR")
	var out bytes.Buffer
	writePlan(&out, plan)
	const want = `take node3 offline
  1. node3: stop osd.3
       systemctl disable --now ceph-osd@3
       rm -r /var/lib/x
  2. forget it
lost for good:
  osd.3
note: node4 is offline already
can't be done:
  node3: 2 of 3 mons would be gone: bring node2 back first [quorum]
  HEALTH_ERR [health]
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// clock is a time that goes on by a second whenever it is asked.
func clock() func() time.Time {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time { now = now.Add(time.Second); return now }
}

func TestProgress(t *testing.T) {
	plan := &control.Plan{Steps: []control.Step{{ID: "a", Node: "n1", Title: "start"}, {ID: "b", Node: "n2", Title: "start"}}}
	play := func(p *progress) {
		p.Started(plan, &plan.Steps[0])
		p.Started(plan, &plan.Steps[1])
		p.Progress(&plan.Steps[0], "waiting for quorum")
		p.Finished(&plan.Steps[0], nil)
		p.Finished(&plan.Steps[1], errors.New("broken"))
		p.close()
	}
	for _, c := range []struct {
		name string
		live bool
		want string
	}{
		{name: "lines", want: "[1/2] n1: start\n[2/2] n2: start\n[1/2] n1: start: waiting for quorum\n" +
			"[1/2] n1: start: done after 2s\n[2/2] n2: start: not done after 2s\n"},
		{name: "terminal", live: true, want: "|[1/2] n1: start, 1s|[1/2] n1: start, 3s (and 1 more)|[1/2] n1: start, 4s: waiting for qu|[2/2] n2: start, 4s|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			play(&progress{w: &out, live: c.live, width: 36, now: clock(), stop: make(chan struct{})})
			if diff := cmp.Diff(c.want, strings.ReplaceAll(out.String(), "\r\x1b[K", "|")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestColours(t *testing.T) {
	var out bytes.Buffer
	rows := &table{rows: [][]string{{"NODE", "STATE"}}, colour: true}
	rows.add("node1", "online")
	rows.add("n", "offline")
	rows.write(&out)
	want := "NODE   STATE\nnode1  \x1b[32monline\x1b[0m\nn      \x1b[33moffline\x1b[0m\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	t.Setenv("NO_COLOR", "1")
	if (&app{terminalOut: true}).newTable("X").colour {
		t.Error("NO_COLOR is not honoured")
	}
}

func TestConsent(t *testing.T) {
	for answer, want := range map[string]error{"node3\n": nil, " node3 \n": nil, "yes\n": control.ErrBlocked, "": control.ErrBlocked} {
		var asked bytes.Buffer
		a := &app{in: strings.NewReader(answer), err: &asked, terminalIn: true, terminalErr: true, config: config{Output: outputTable}}
		plan := &control.Plan{Title: "remove node3", Destroys: []string{"osd.3"}}
		if err := a.consent(t.Context(), plan, "node3", false); !errors.Is(err, want) {
			t.Errorf("answer %q: error %v, want %v", answer, err, want)
		}
		if text := asked.String(); !strings.Contains(text, "lost for good:\n  osd.3\n") || !strings.HasSuffix(text, "To consent, type node3: ") {
			t.Errorf("it asks\n%s", text)
		}
	}
}

// A person who is asked can interrupt.
func TestConsentInterrupted(t *testing.T) {
	in, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&app{in: in}).readLine(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fmt.Errorf("%w: x", control.ErrUsage), 2},
		{fmt.Errorf("%w: x", control.ErrUnknown), 2},
		{fmt.Errorf("x: %w", control.ErrBlocked), 3},
		{errChanges, 4},
		{fmt.Errorf("%w: x", control.ErrLocked), 5},
		{fmt.Errorf("%w: x", control.ErrUnreachable), 6},
		{levelError{13}, 13},
		{interrupted{control.ErrUnreachable}, 130},
		{context.Canceled, 1}, // not by a signal
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// Of a guest that does not answer, nothing is said but its process, and of disks of other templates whose they are.
func TestWriteInstance(t *testing.T) {
	for want, info := range map[string]*instance.Info{
		"process         7\n":                   {PID: 7},
		"process         7, QEMU 7.2.22, KVM\n": {PID: 7, QEMU: "7.2.22", Accel: "kvm"},
		"vcpus           0\nDisks:\n":           {},
		"Disks:\n  disk/0\n    template    file, which is Ganeti's alone: gnt-instance info web1\n": {
			Instance: control.Instance{Name: "web1", Disks: []control.Disk{{Template: "file"}}},
		},
	} {
		var out strings.Builder
		writeInstance(&out, info)
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
}
