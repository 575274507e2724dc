package hooks

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

func (h Host) must(t *testing.T, action string) Facts {
	t.Helper()
	answer, err := h.Handle(t.Context(), action, json.RawMessage("null"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.(Facts)
}

func TestHost(t *testing.T) {
	h := Host{Dir: filepath.Join(t.TempDir(), "ganeti", "hooks"), Program: "/opt/it's/cephctl"}
	if facts := h.must(t, agent.ActionObserve); facts.State() != "no Ganeti" {
		t.Errorf("without Ganeti: %+v", facts)
	}
	if _, err := h.Handle(t.Context(), ActionInstall, nil, nil); err == nil || !strings.Contains(err.Error(), "there is no Ganeti") {
		t.Errorf("installed without Ganeti: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(h.Dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if facts := h.must(t, agent.ActionObserve); facts.State() != "not installed" || len(facts.Missing) != len(folders) {
		t.Errorf("before: %+v", facts)
	}
	for range 2 {
		if facts := h.must(t, ActionInstall); facts.State() != "installed" || len(facts.Installed) != len(folders) {
			t.Errorf("installed: %+v", facts)
		}
	}
	other := filepath.Join(h.Dir, "node-add-post.d", "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.path("node-add-post.d"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path(Watcher), []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	facts := h.must(t, agent.ActionObserve)
	if diff := cmp.Diff([]string{"node-add-post.d", Watcher}, facts.Different); diff != "" || facts.State() != "incomplete" {
		t.Errorf("changed: %s %s", facts.State(), diff)
	}
	if facts := h.must(t, ActionRemove); facts.State() != "not installed" {
		t.Errorf("removed: %+v", facts)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the hook of others is gone: %v", err)
	}
}

// TestScript runs a script: it calls cephctl with the name of the hook, and lets Ganeti go on where there is none.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	h := Host{Dir: filepath.Join(dir, "hooks"), Program: filepath.Join(dir, "it's me")}
	h.must(t, ActionInstall)
	if out, err := exec.Command(h.path("node-modify-pre.d")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("without cephctl: %v, %s", err, out)
	}
	if err := os.WriteFile(h.Program, []byte("#!/bin/sh\necho \"$@\"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(h.path("node-modify-pre.d")).Output()
	if exit := (*exec.ExitError)(nil); string(out) != "ganeti-hook node-modify-pre\n" || !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %q, %v", out, err)
	}
	if out, _ := exec.Command(h.path(Watcher)).Output(); string(out) != "ganeti-hook watcher\n" {
		t.Errorf("of the watcher: %q", out)
	}
}

func TestReadEvent(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		hook, environment string
		want              Event
	}{
		"offline": {
			"node-modify-pre", "GANETI_OFFLINE=True GANETI_DRAINED=None GANETI_OP_CODE=OP_NODE_SET_PARAMS GANETI_OP_TARGET=node3.lab",
			Event{Hook: "node-modify-pre", OpCode: "OP_NODE_SET_PARAMS", Node: "node3.lab", Offline: &yes},
		},
		"online": {
			"node-modify-post", "GANETI_OFFLINE=False GANETI_OP_TARGET=node3.lab",
			Event{Hook: "node-modify-post", Node: "node3.lab", Offline: &no},
		},
		"drained": {"node-modify-pre", "GANETI_OFFLINE=None GANETI_OP_TARGET=n", Event{Hook: "node-modify-pre", Node: "n"}},
		"added": {
			"node-add-post", "GANETI_NODE_NAME=node4.lab GANETI_OP_TARGET=node4.lab GANETI_OP_CODE=OP_NODE_ADD",
			Event{Hook: "node-add-post", OpCode: "OP_NODE_ADD", Node: "node4.lab"},
		},
		"assigned": {
			"config-update-post", "GANETI_OP_CODE=OP_GROUP_ASSIGN_NODES PATH=/bin",
			Event{Hook: "config-update-post", OpCode: "OP_GROUP_ASSIGN_NODES"},
		},
		"removed": {"group-remove-pre", "GANETI_GROUP_NAME=storage", Event{Hook: "group-remove-pre", Group: "storage"}},
		"renamed": {"group-rename-pre", "GANETI_OLD_NAME=storage GANETI_NEW_NAME=st2", Event{Hook: "group-rename-pre", Group: "storage"}},
		"watcher": {"watcher", "", Event{Hook: "watcher"}},
		"started": {
			"instance-start-pre", "GANETI_INSTANCE_NAME=web1 GANETI_INSTANCE_PRIMARY=node2 GANETI_INSTANCE_DISK_TEMPLATE=rbd GANETI_INSTANCE_DISK0_ID=i",
			Event{Hook: "instance-start-pre", Node: "node2", Instance: "web1", Template: "rbd", Image: "i"},
		},
		"migrated": {
			"instance-migrate-post", "GANETI_INSTANCE_NAME=web1 GANETI_INSTANCE_PRIMARY=node2 GANETI_NEW_PRIMARY=node3",
			Event{Hook: "instance-migrate-post", Node: "node3", Instance: "web1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadEvent(c.hook, strings.Fields(c.environment))
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
	if _, err := ReadEvent("node-modify-pre.d", nil); err == nil || err.Error() != `no hook is called "node-modify-pre.d"` {
		t.Errorf("of a folder: %v", err)
	}
}

// TestTold tells what Ganeti takes for a no from what it only tells.
func TestTold(t *testing.T) {
	for hook, want := range map[string][2]bool{
		"node-modify-pre": {true, true}, "group-modify-post": {false, true}, "cluster-verify-post": {false, true},
		"config-update-post": {false, false}, Watcher: {false, false},
	} {
		e := Event{Hook: hook}
		if got := [2]bool{e.Before(), e.Told()}; got != want {
			t.Errorf("%s: got %v, want %v", hook, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	if got := Line("osd.1 × 2 …\nmore → è\t\n"); got != "osd.1 x 2 ...; more -> ?" {
		t.Errorf("got %q", got)
	}
}
