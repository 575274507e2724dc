package main

import (
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/hooks"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// TestIsStepOf knows a step of an operation, and nothing else on its node.
func TestIsStepOf(t *testing.T) {
	yes, no := true, false
	offline := hooks.Event{Hook: "node-modify-pre", Node: "node3", Offline: &yes}
	online := hooks.Event{Hook: "node-modify-pre", Node: "node3", Offline: &no}
	remove, add := hooks.Event{Hook: "node-remove-pre", Node: "node3"}, hooks.Event{Hook: "node-add-post", Node: "node3"}
	for _, c := range []struct {
		kind string
		want map[string]bool
	}{
		{"offline", map[string]bool{"offline": true}},
		{"node-readd", map[string]bool{"online": true, "add": true}},
		{"node-add", map[string]bool{"add": true}},
		{"node-remove", map[string]bool{"remove": true}},
		{"remove-dead", map[string]bool{"remove": true}},
		{"replace-osd", nil},
	} {
		for name, event := range map[string]hooks.Event{"offline": offline, "online": online, "remove": remove, "add": add} {
			if got := isStepOf(&state.Operation{Kind: c.kind, Target: "node3"}, event); got != c.want[name] {
				t.Errorf("%s while %s is under way: own %v", name, c.kind, got)
			}
			if isStepOf(&state.Operation{Kind: c.kind, Target: "node2"}, event) || isStepOf(nil, event) {
				t.Errorf("%s while %s of another node is under way: own", name, c.kind)
			}
		}
	}
}

// TestWayBack has a node that was moved out of the storage group go offline first: only then it can be assigned to it.
func TestWayBack(t *testing.T) {
	n := control.Node{Name: "node3", Group: "spare", Mark: "ceph"}
	c := control.Cluster{Groups: []control.Group{{Name: "default", Mark: "ceph"}, {Name: "spare"}}}
	const offline = "cephctl node modify --offline=yes node3"
	if got, want := wayBack(c, n), offline+"; to have it back: cephctl group assign-nodes default node3, then cephctl node add --readd node3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.Groups[0].Mark = ""
	if got := wayBack(c, n); got != offline {
		t.Errorf("without the mark of the group: %s", got)
	}
}

// TestIsApart knows what is of storage by marks, and by what cephctl remembers; what it does not know may be.
func TestIsApart(t *testing.T) {
	c := control.Cluster{
		Groups: []control.Group{{Name: "default"}, {Name: "marked", Mark: "ceph"}, {Name: "spare"}},
		Nodes: []control.Node{
			{Name: "remembered", Group: "default"},
			{Name: "member", Group: "marked"},
			{Name: "moved", Group: "spare", Mark: "ceph"},
			{Name: "free", Group: "spare"},
			{Name: "groupless", Group: "?"},
		},
	}
	st := &state.State{Storage: map[string]*state.Storage{"ceph": {Group: "default"}}}
	for name, want := range map[string]bool{
		"remembered": false, "member": false, "moved": false, "free": true, "groupless": false, "unknown": false, "": false,
	} {
		if got := isApart(c, hooks.Event{Node: name}, st); got != want {
			t.Errorf("node %q is apart: %t", name, got)
		}
	}
	for name, want := range map[string]bool{"default": false, "marked": false, "spare": true, "unknown": false} {
		if got := isApart(c, hooks.Event{Group: name}, st); got != want {
			t.Errorf("group %q is apart: %t", name, got)
		}
	}
}

// TestPassesInDoubt says why what has nothing to do with storage passes.
func TestPassesInDoubt(t *testing.T) {
	s := newHookSite(t)
	rapiDown(s)
	s.passes("node-modify-pre", offlineNode3)
	if got := s.told.String(); !strings.HasPrefix(got, "warning: node-modify-pre: node3.lab has nothing to do with storage; cephctl can't tell whether") {
		t.Errorf("told %q", got)
	}
}

// TestFailsOpen has what lets an instance start although cephctl can't work say why.
func TestFailsOpen(t *testing.T) {
	s := newHookSite(t)
	wrongSettings(s)
	s.passes("instance-start-pre", startWeb1)
	if got := s.told.String(); !strings.HasPrefix(got, "warning: instance-start-pre: usage: ") || !strings.Contains(got, "parallels") {
		t.Errorf("told %q", got)
	}
}
