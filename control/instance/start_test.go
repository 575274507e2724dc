package instance_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// consentUI consents, and remembers to what.
type consentUI struct {
	control.UI
	destroys []string
}

func (u *consentUI) Consent(_ context.Context, plan *control.Plan) error {
	u.destroys = plan.Destroys
	return nil
}
func (*consentUI) Started(*control.Plan, *control.Step) {}
func (*consentUI) Progress(*control.Step, string)       {}
func (*consentUI) Finished(*control.Step, error)        {}

// A start takes those claims along that may be taken away, and no others.
func TestStartTakesClaims(t *testing.T) {
	for _, test := range []struct {
		name        string
		claim       controltest.Answer
		proven      map[string]bool
		opts        instance.StartOptions
		dead, fence []string
		destroys    []string
		node        string
	}{
		{name: "free", claim: controltest.Answer{Command: "none"}, node: "node1"},
		{name: "its node says that it is dead", claim: claimed("node2", "node2"), proven: map[string]bool{"T": true}, dead: []string{"T"}, node: "node1"},
		{
			name: "nobody can be asked, and that is consented to", claim: claimed("node9", "node9"), opts: instance.StartOptions{BreakClaim: true}, fence: []string{"T"}, node: "node1",
			destroys: []string{"what instance web9 on node9 since 2026-01-02 03:04:05 has not yet written to image disk1: its client 10.0.0.9:0/11 is kept out of the cluster"},
		},
		{name: "consent that is not needed", claim: claimed("node2", "node2"), proven: map[string]bool{"T": true}, opts: instance.StartOptions{BreakClaim: true}, dead: []string{"T"}, node: "node1"},
		{name: "elsewhere", claim: controltest.Answer{Command: "none"}, opts: instance.StartOptions{Node: "node2", Map: false}, node: "node2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rig := newRig(t, &refusal{answers: []controltest.Answer{test.claim}})
			rig.proven, rig.asked = test.proven, map[string]guest.Request{}
			s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
			ui := &consentUI{}
			if _, err := rig.env.Execute(t.Context(), s.Start("web1", test.opts, &kvm.Status{}), ui); err != nil {
				t.Fatal(err)
			}
			r, ok := rig.asked[test.node+" "+guest.ActionStart]
			if !ok || len(rig.asked) != 1 {
				t.Fatalf("asked for %v", rig.asked)
			}
			if diff := cmp.Diff([][]string{test.dead, test.fence, test.destroys}, [][]string{r.Dead, r.Fence, ui.destroys}); diff != "" {
				t.Errorf("dead, fenced and consented to (-want +got):\n%s", diff)
			}
			if r.RunDir != instance.DefaultRunDir || r.Instance.Node != test.node || r.Disks[0].Params["pool"] != "vms" || r.Disks[0].Params["access"] != "userspace" {
				t.Errorf("request %+v", r)
			}
			c, err := rig.env.Inventory.Cluster(t.Context())
			if i, _ := c.Instance("web1"); err != nil || i.Node != test.node {
				t.Errorf("its node is %s, %v, want %s", i.Node, err, test.node)
			}
		})
	}
}

// What is left on another node is stopped there, and the instance stays where it is.
func TestStopElsewhere(t *testing.T) {
	rig := newRig(t, &refusal{prepare: func(r *rig) { r.runs = "node2" }})
	rig.asked = map[string]guest.Request{}
	s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
	if plan, err := rig.env.Execute(t.Context(), s.Stop("web1", instance.StopOptions{}, nil), &consentUI{}); err != nil || len(plan.Steps) > 0 {
		t.Errorf("a stop where it does not run: %+v, %v", plan, err)
	}
	if _, err := rig.env.Execute(t.Context(), s.Stop("web1", instance.StopOptions{Node: "node2", Timeout: 7}, &guest.Stopped{}), &consentUI{}); err != nil {
		t.Fatal(err)
	}
	r, ok := rig.asked["node2 "+guest.ActionStop]
	if !ok || len(rig.asked) != 1 || r.Timeout != 7 {
		t.Errorf("asked for %v", rig.asked)
	}
	c, err := rig.env.Inventory.Cluster(t.Context())
	if i, _ := c.Instance("web1"); err != nil || i.Node != "node1" {
		t.Errorf("its node is %s, %v", i.Node, err)
	}
}

// What an agent is about to start is stopped, though it does not run yet: its claim tells. What others claim is left alone.
func TestStopOfOneThatIsComing(t *testing.T) {
	for _, test := range []struct {
		name, uuid, host string
		asked            int
	}{{"its own claim", "0c3e1d52", "host1", 1}, {"one elsewhere", "0c3e1d52", "host2", 0}, {"another's", "u", "host1", 0}} {
		rig := newRig(t, &refusal{prepare: func(r *rig) {
			r.host, r.look = "host1", &guest.DiskLook{ImageState: control.ImageState{Exists: true, Claim: &control.Claim{UUID: test.uuid, Host: test.host}}}
		}})
		rig.asked = map[string]guest.Request{}
		s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
		if _, err := rig.env.Execute(t.Context(), s.Stop("web1", instance.StopOptions{}, &guest.Stopped{}), &consentUI{}); err != nil || len(rig.asked) != test.asked {
			t.Errorf("%s: asked for %v, %v", test.name, rig.asked, err)
		}
	}
}

// A start elsewhere that was broken off before its node was noted is noted by the next.
func TestStartGoesOn(t *testing.T) {
	rig := newRig(t, &refusal{prepare: func(r *rig) {
		r.runs = "node2"
		r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Claim: &control.Claim{UUID: r.instance.UUID}, Clients: []string{"c"}}}
	}})
	rig.asked = map[string]guest.Request{}
	s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
	for _, steps := range []int{1, 0} {
		var status kvm.Status
		plan, err := rig.env.Execute(t.Context(), s.Start("web1", instance.StartOptions{Node: "node2"}, &status), &consentUI{})
		if err != nil || len(plan.Steps) != steps || len(rig.asked) > 0 {
			t.Fatalf("plan %+v, %v, asked for %v, want %d steps", plan, err, rig.asked, steps)
		}
		if status.PID != 7*steps {
			t.Errorf("process %d", status.PID)
		}
		c, err := rig.env.Inventory.Cluster(t.Context())
		if i, _ := c.Instance("web1"); err != nil || i.Node != "node2" {
			t.Errorf("its node is %s, %v", i.Node, err)
		}
	}
}

// The clients of a guest that runs are noted by the next start where the one before was killed too early for that.
func TestStartNotesClients(t *testing.T) {
	for _, test := range []struct {
		clients []string
		asked   int
	}{{nil, 1}, {[]string{"c"}, 0}} {
		rig := newRig(t, &refusal{prepare: func(r *rig) {
			r.runs = "node1"
			r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Claim: &control.Claim{UUID: r.instance.UUID}, Clients: test.clients}}
		}})
		rig.asked = map[string]guest.Request{}
		s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
		var status kvm.Status
		if _, err := rig.env.Execute(t.Context(), s.Start("web1", instance.StartOptions{}, &status), &consentUI{}); err != nil || status.PID != 7*test.asked {
			t.Errorf("process %d, %v", status.PID, err)
		}
		if r := rig.asked["node1 "+guest.ActionRemember]; len(rig.asked) != test.asked || len(r.Disks) != test.asked {
			t.Errorf("asked for %v", rig.asked)
		}
	}
}

// plain is an inventory that keeps no instances, as Ganeti's is.
type plain struct{ control.Inventory }

func TestOtherInventory(t *testing.T) {
	rig := newRig(t, &refusal{})
	rig.env.Inventory = plain{rig.env.Inventory}
	s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
	for _, change := range []control.Change{
		s.Add(control.Instance{Name: "web2", Node: "node1"}), s.Start("web1", instance.StartOptions{}, nil), s.Stop("web1", instance.StopOptions{}, nil),
		s.Remove("web1", instance.RemoveOptions{}), s.Activate("web1", instance.ActivateOptions{}, nil),
	} {
		if _, err := rig.env.Execute(t.Context(), change, noUI{}); !errors.Is(err, control.ErrUsage) {
			t.Errorf("%s: %v", change.Kind, err)
		}
	}
	if _, err := s.List(t.Context(), false); !errors.Is(err, control.ErrUsage) {
		t.Errorf("list: %v", err)
	}
}

// Where the node can't hang, nothing is said; at level 2 it is said; and what is allowed is done.
func TestStartRisk(t *testing.T) {
	const said = "warning: node1: disk 0: the kernel would write to image disk1 "
	for _, test := range []struct {
		name, pools, access, cache string
		info                       string // of the image, where it is not as usual
		opts                       instance.StartOptions
		want                       []string
	}{
		{name: "userspace", pools: "[2]", access: "userspace", cache: "writeback"},
		{name: "no OSD here has a part of the pool", pools: "[1]", access: "kernelspace", cache: "writeback"},
		{
			name: "past the page cache", pools: "[2]", access: "kernelspace", cache: "none",
			want: []string{said + "past its page cache, and osd.1 of this node has a part of its pool vms: loopback level 2 (notice)"},
		},
		{
			name: "its data is elsewhere", pools: "[2]", access: "kernelspace", cache: "none",
			info: `{"name":"disk1","id":"10267755defc","size":17825792,"data_pool":"rbd"}`,
		},
		{
			name: "its data is elsewhere, and its object map here", pools: "[2]", access: "kernelspace", cache: "none",
			info: `{"name":"disk1","id":"10267755defc","size":17825792,"data_pool":"rbd","features":["object-map"]}`,
			want: []string{said + "past its page cache, and osd.1 of this node has a part of the pool vms with its object map: loopback level 2 (notice)"},
		},
		{
			name: "a clone, and all is here", pools: "[1,2]", access: "kernelspace", cache: "none",
			info: `{"name":"disk1","id":"10267755defc","size":17825792,"parent":{"pool":"rbd","image":"base","overlap":17825792}}`,
			want: []string{said + "past its page cache, and osd.1 of this node has a part of its pool vms and of the pool rbd with its parent: loopback level 2 (notice)"},
		},
		{
			name: "past the page cache, and the OSD does not say", pools: "ERROR: (5)", access: "kernelspace", cache: "none",
			want: []string{said + "past its page cache, and nobody can say which pools the OSDs of this node serve, so that it may hang (pool vms)"},
		},
		{
			name: "allowed", pools: "[2]", access: "kernelspace", cache: "writeback", opts: instance.StartOptions{AllowLoopback: true},
			want: []string{said + "through its page cache, and osd.1 of this node has a part of its pool vms: loopback level 3 (warning)"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var answers []controltest.Answer
			if test.info != "" {
				answers = append(answers, controltest.Answer{Command: "rbd --admin-socket= --conf CONF --id instances info --format json vms/disk1", Stdout: test.info})
			}
			rig := newRig(t, &refusal{answers: answers, prepare: func(r *rig) {
				r.maps(test.pools)
				r.asked = map[string]guest.Request{}
				r.instance.Disks[0].Where["access"], r.instance.Disks[0].Where["cache"] = test.access, test.cache
			}})
			s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
			plan, err := rig.env.Execute(t.Context(), s.Start("web1", test.opts, &kvm.Status{}), &consentUI{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, plan.Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			if _, ok := rig.asked["node1 "+guest.ActionStart]; !ok {
				t.Errorf("it was not started: asked for %v", rig.asked)
			}
		})
	}
}
