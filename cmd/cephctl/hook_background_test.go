package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// TestLater leaves one that runs alone, and keeps what has failed until it is begun again.
func TestLater(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const unit = "cephctl-offline-node3.lab.service"
	isActive := controltest.Answer{Command: "systemctl is-active --quiet " + unit}
	env := &control.Env{Runner: controltest.NewOrderedRunner(t, isActive)}
	if err := goOffline(t.Context(), env, "node3.lab"); err != nil {
		t.Errorf("one that runs: %v", err)
	}
	isActive.Code = 3
	env.Runner = controltest.NewOrderedRunner(t, isActive,
		controltest.Answer{Command: "systemctl reset-failed " + unit, Code: 1, Stderr: "Unit " + unit + " not loaded."},
		controltest.Answer{Command: run.Quote([]string{
			"systemd-run", "--quiet", "--no-block", "--unit=" + unit, "--", self, "--unattended", "node", "modify", "--offline=yes", "--yes", "node3.lab",
		})})
	if err := goOffline(t.Context(), env, "node3.lab"); err != nil {
		t.Errorf("one that has failed: %v", err)
	}
}

// fixedInventory is an inventory that only says what there is.
type fixedInventory struct {
	control.Inventory
	c control.Cluster
}

// Cluster implements control.Inventory.
func (i fixedInventory) Cluster(context.Context) (control.Cluster, error) { return i.c, nil }

// hookEnv is a site with a storage group, a group of clients and another one, whose commands for systemd are kept.
func hookEnv(t *testing.T, units string, nodes ...control.Node) (*control.Env, *controltest.Runner) {
	t.Helper()
	runner := controltest.NewRunner(t, controltest.Answer{Command: listUnits, Stdout: units}, controltest.Answer{Command: "systemctl is-active", Code: 3},
		controltest.Answer{Command: "systemctl reset-failed"}, controltest.Answer{Command: "systemd-run"})
	return &control.Env{Runner: runner, Inventory: fixedInventory{c: control.Cluster{
		Groups: []control.Group{{Name: "default", Mark: "ceph"}, {Name: "compute"}, {Name: "spare"}}, Nodes: nodes,
	}}}, runner
}

var hookStorage = &state.State{Storage: map[string]*state.Storage{"ceph": {Group: "default", Clients: []string{"compute"}}}}

// changes are the commands of a runner that change something, of systemd-run the unit and what that runs.
func changes(r *controltest.Runner) []string {
	var lines []string
	for _, line := range r.Lines() {
		unit, isReset := strings.CutPrefix(line, "systemctl reset-failed ")
		words := strings.Fields(line)
		switch {
		case isReset:
			lines = append(lines, "forget "+unit)
		case words[0] == "systemd-run":
			lines = append(lines, strings.TrimPrefix(words[3], "--unit=")+" "+strings.Join(words[7:], " "))
		}
	}
	return lines
}

// TestTryAgain begins again what has failed, as long as it is wanted, and leaves units alone that no hook has begun.
func TestTryAgain(t *testing.T) {
	for name, c := range map[string]struct {
		unit string
		node control.Node
		want []string
	}{
		"offline": {
			"offline-n1",
			control.Node{Name: "n1", Group: "default", Mark: "ceph", Offline: true},
			[]string{"forget cephctl-offline-n1.service", "cephctl-offline-n1.service node modify --offline=yes --yes n1"},
		},
		"offline, and brought back": {
			"offline-n1", control.Node{Name: "n1", Group: "default", Mark: "ceph"}, []string{"forget cephctl-offline-n1.service"},
		},
		"offline, and removed": {"offline-n1", control.Node{Name: "n2", Group: "default", Offline: true}, []string{"forget cephctl-offline-n1.service"}},
		"readded": {
			"readd-n1",
			control.Node{Name: "n1", Group: "default"},
			[]string{"forget cephctl-readd-n1.service", "cephctl-readd-n1.service node add --readd n1"},
		},
		"readded as a client": {
			"readd-n1",
			control.Node{Name: "n1", Group: "compute"},
			[]string{"forget cephctl-readd-n1.service", "cephctl-readd-n1.service node add --readd n1"},
		},
		"readded, and offline again":      {"readd-n1", control.Node{Name: "n1", Group: "default", Offline: true}, []string{"forget cephctl-readd-n1.service"}},
		"readded, and in another group":   {"readd-n1", control.Node{Name: "n1", Group: "spare"}, []string{"forget cephctl-readd-n1.service"}},
		"hooks":                           {"hooks-n1", control.Node{Name: "n1", Group: "spare"}, []string{"forget cephctl-hooks-n1.service", "cephctl-hooks-n1.service hooks install n1"}},
		"clients":                         {"clients-compute", control.Node{}, []string{"forget cephctl-clients-compute.service", "cephctl-clients-compute.service storage add-client compute"}},
		"clients that are none any more":  {"clients-spare", control.Node{}, []string{"forget cephctl-clients-spare.service"}},
		"what the administrator has made": {"export", control.Node{Name: "n1", Group: "default"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			env, runner := hookEnv(t, "cephctl-"+c.unit+".service loaded failed failed /usr/sbin/cephctl\ncephctl-readd-n9.service loaded active running /usr/sbin/cephctl\n", c.node)
			err := resume(t.Context(), env, hookStorage)
			if diff := cmp.Diff(c.want, changes(runner)); diff != "" || err != nil {
				t.Errorf("%v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestResume goes on with what a hook has begun, and leaves to people what they have.
func TestResume(t *testing.T) {
	for kind, want := range map[string]string{
		"offline": "cephctl-offline-x.service node modify --offline=yes --yes x", "node-readd": "cephctl-readd-x.service node add --readd x",
		"add-client": "cephctl-clients-x.service storage add-client x", "replace-osd": "",
	} {
		op := &state.Operation{Kind: kind, Target: "x", Unattended: true}
		env, runner := hookEnv(t, "")
		err := resume(t.Context(), env, &state.State{Operation: op})
		if got := changes(runner); err != nil || want == "" && got != nil || want != "" && (len(got) != 2 || got[1] != want) {
			t.Errorf("%s: %v, %q", kind, err, got)
		}
		op.Unattended = false
		env, runner = hookEnv(t, "")
		if err := resume(t.Context(), env, &state.State{Operation: op}); err != nil || runner.Lines() != nil {
			t.Errorf("%s of somebody: %v, %q", kind, err, runner.Lines())
		}
	}
}

// TestForgetOperation has the watcher not begin again what was given up.
func TestForgetOperation(t *testing.T) {
	env, runner := hookEnv(t, "")
	forgetOperation(t.Context(), env, nil)
	forgetOperation(t.Context(), env, &state.Operation{Kind: kindOffline, Target: "n1"})
	forgetOperation(t.Context(), env, &state.Operation{Kind: "replace-osd", Target: "1", Unattended: true})
	forgetOperation(t.Context(), env, &state.Operation{Kind: kindOffline, Target: "n2", Unattended: true})
	if diff := cmp.Diff([]string{"forget cephctl-offline-n2.service"}, changes(runner)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAfterAdd makes of a node what nodes of its group are.
func TestAfterAdd(t *testing.T) {
	for group, want := range map[string]bool{"default": true, "compute": true, "spare": false} {
		env, runner := hookEnv(t, "", control.Node{Name: "n1", Group: group})
		err := newApp().afterAdd(t.Context(), env, "n1", hookStorage)
		got := strings.Join(changes(runner), "\n")
		if err != nil || !strings.Contains(got, "cephctl-hooks-n1.service hooks install n1") ||
			strings.Contains(got, "cephctl-readd-n1.service node add --readd n1") != want {
			t.Errorf("%s: %v, %s", group, err, got)
		}
	}
}

// TestAfterAssign makes nodes of client groups clients, unless cephctl is at it itself.
func TestAfterAssign(t *testing.T) {
	env, runner := hookEnv(t, "", control.Node{Name: "n1", Group: "default", Mark: "ceph"}, control.Node{Name: "n2", Group: "compute"})
	env.Log = slog.New(slog.DiscardHandler)
	st := *hookStorage
	st.Operation = &state.Operation{Kind: "assign-nodes", Target: "compute"}
	if err := afterAssign(t.Context(), env, &st); err != nil || runner.Lines() != nil {
		t.Errorf("while cephctl assigns: %v, %q", err, runner.Lines())
	}
	want := []string{"forget cephctl-clients-compute.service", "cephctl-clients-compute.service storage add-client compute"}
	err := afterAssign(t.Context(), env, hookStorage)
	if diff := cmp.Diff(want, changes(runner)); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}
