package instance_test

import (
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// A block device that is there is made anew when it does not work, or nobody claims it.
func TestActivateAgain(t *testing.T) {
	for _, test := range []struct {
		name    string
		claim   *control.Claim
		watcher string
		wanted  bool
	}{
		{name: "it works", claim: &control.Claim{UUID: "0c3e1d52", Devices: true}, watcher: "k"},
		{name: "its client was kept out", claim: &control.Claim{UUID: "0c3e1d52", Devices: true}, wanted: true},
		{name: "its claim is that of a dead guest", claim: &control.Claim{UUID: "0c3e1d52"}, watcher: "k", wanted: true},
		{name: "it has no claim", watcher: "k", wanted: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			rig := newRig(t, &refusal{prepare: func(r *rig) {
				r.look = &guest.DiskLook{Dead: true, ImageState: control.ImageState{
					Exists: true, Mapped: "/dev/rbd0", MappedBy: "k", Watchers: []string{test.watcher}, Claim: test.claim,
				}}
			}})
			rig.asked = map[string]guest.Request{}
			s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
			var devices []string
			if _, err := rig.env.Execute(t.Context(), s.Activate("web1", instance.ActivateOptions{}, &devices), &consentUI{}); err != nil {
				t.Fatal(err)
			}
			if _, asked := rig.asked["node1 "+guest.ActionActivate]; asked != test.wanted {
				t.Errorf("asked for %v, want it: %t", rig.asked, test.wanted)
			}
		})
	}
}
