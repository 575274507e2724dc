package instance_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// An instance whose node is dead is removed from another, which keeps its client out where that is consented to.
func TestRemove(t *testing.T) {
	const consented = "what instance web1 on node9 since 2026-01-02 03:04:05 has not yet written to image disk1: its client 10.0.0.9:0/11 is kept out of the cluster"
	for _, test := range []struct {
		name     string
		dead     []string
		proven   map[string]bool
		claim    controltest.Answer
		opts     instance.RemoveOptions
		made     bool
		asked    []string
		fence    []string
		destroys []string
	}{
		{name: "its node answers", claim: controltest.Answer{Command: "none"}},
		{name: "its pool is gone", claim: failing(2, "rbd: error opening pool 'vms': (2) No such file or directory"), opts: instance.RemoveOptions{Images: true}, made: true},
		{name: "its node is dead, and it was stopped", dead: []string{"node1"}, claim: controltest.Answer{Command: "none"}},
		{
			name: "its node is dead, and its claim is there", dead: []string{"node1"}, claim: ownClaim(), opts: instance.RemoveOptions{BreakClaim: true},
			asked: []string{"node2 " + guest.ActionRelease}, fence: []string{"T"}, destroys: []string{consented},
		},
		{
			name: "with its images", dead: []string{"node1"}, claim: ownClaim(), opts: instance.RemoveOptions{BreakClaim: true, Images: true}, made: true,
			asked: []string{"node2 " + guest.ActionRelease, "node2 " + guest.ActionRemove}, fence: []string{"T"}, destroys: []string{consented, "image disk1 (pool=vms)"},
		},
		{
			name: "its claim is elsewhere, says its node, and dead", claim: startedElsewhere(), proven: map[string]bool{"T": true}, asked: []string{"node1 " + guest.ActionRelease},
		},
		{
			name: "the cluster does not answer", claim: failing(110, "rbd: couldn't connect to the cluster!"), opts: instance.RemoveOptions{BreakClaim: true},
			destroys: []string{"what cephctl knows of image disk1, though nobody can tell who has it: disk 0: the cluster does not answer"},
		},
		{name: "its node is dead, and the claim is another's", dead: []string{"node1"}, claim: claimed("node9", "node9")},
	} {
		t.Run(test.name, func(t *testing.T) {
			rig := newRig(t, &refusal{answers: []controltest.Answer{test.claim}, prepare: func(r *rig) {
				r.dead, r.instance.Disks[0].Made = test.dead, test.made
			}})
			rig.asked, rig.proven = map[string]guest.Request{}, test.proven
			s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
			ui := &consentUI{}
			if _, err := rig.env.Execute(t.Context(), s.Remove("web1", test.opts), ui); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.destroys, ui.destroys); diff != "" {
				t.Errorf("consented to (-want +got):\n%s", diff)
			}
			if len(rig.asked) != len(test.asked) {
				t.Errorf("asked for %v", rig.asked)
			}
			for _, key := range test.asked {
				if r, ok := rig.asked[key]; !ok || cmp.Diff(test.fence, r.Fence) != "" {
					t.Errorf("%s: %t, %+v", key, ok, r)
				}
			}
			c, err := rig.env.Inventory.Cluster(t.Context())
			if _, ok := c.Instance("web1"); ok || err != nil {
				t.Errorf("it is still there, %v", err)
			}
		})
	}
}

// Where no node answers, nobody can tell, and nothing is changed.
func TestRemoveBlindly(t *testing.T) {
	rig := newRig(t, &refusal{prepare: func(r *rig) { r.dead = []string{"node1", "node2"} }})
	s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
	_, err := rig.env.Execute(t.Context(), s.Remove("web1", instance.RemoveOptions{BreakClaim: true}), noUI{})
	if !errors.Is(err, control.ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}

// slowUI consents when something else has happened.
type slowUI struct {
	consentUI
	meanwhile func()
}

func (u *slowUI) Consent(context.Context, *control.Plan) error {
	u.meanwhile()
	return nil
}

// An instance that is started while consent is asked for keeps running, and its images.
func TestRemoveOfOneThatWasStarted(t *testing.T) {
	for _, images := range []bool{false, true} {
		rig := newRig(t, &refusal{prepare: func(r *rig) { r.instance.Disks[0].Made = true }})
		rig.asked = map[string]guest.Request{}
		s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
		ui := &slowUI{meanwhile: func() { rig.runs = "node1" }}
		_, err := rig.env.Execute(t.Context(), s.Remove("web1", instance.RemoveOptions{Images: images}), ui)
		if err == nil || !strings.Contains(err.Error(), "instance web1 was started meanwhile") {
			t.Errorf("error %v", err)
		}
		if len(rig.asked) > 0 {
			t.Errorf("asked for %v", rig.asked)
		}
		c, err := rig.env.Inventory.Cluster(t.Context())
		if _, ok := c.Instance("web1"); !ok || err != nil {
			t.Errorf("it is gone, %v", err)
		}
	}
}
