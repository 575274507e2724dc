package cephstorage

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

// What somebody else has mapped here is shown, is a stranger to who claims the image, and keeps it from being claimed. What
// another cluster has under the same name is none of it.
func TestForeignDevice(t *testing.T) {
	const (
		image  = "381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0"
		client = "192.0.2.11:0/3562049007"
		rbd    = "rbd --admin-socket= --id instances "
	)
	here := control.ImageState{Exists: true, SizeBytes: 1, Watchers: []string{client}}
	foreign := here
	foreign.Mapped, foreign.MappedBy, foreign.Foreign = "/dev/rbd0", client, true
	for _, test := range []struct {
		name, fsid string
		want       control.ImageState
	}{
		{"by hand", "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21", foreign},
		{"in another cluster", "b7f1", here},
	} {
		t.Run(test.name, func(t *testing.T) {
			runner := controltest.NewRunner(t,
				controltest.Answer{Command: rbd + "info --format json vms/" + image, Stdout: `{"id":"1","size":1,"format":2}`},
				controltest.Answer{Command: rbd + "status --format json vms/" + image, Stdout: `{"watchers":[{"address":"` + client + `"}]}`},
				controltest.Answer{Command: "rados --admin-socket= --id instances --pool vms --format json lock info rbd_header.1 cephctl", Stdout: `{"lockers":[]}`},
				controltest.Answer{Command: "ceph --admin-socket= --id instances fsid --format json", Stdout: `{"fsid":"` + test.fsid + `"}`},
			)
			h := NewDiskHost(runner, loopback.Options{Sysfs: "../../ceph/krbd/testdata/linux/6.1/two"})
			d := control.DiskSpec{Disk: control.Disk{Image: image}, Params: map[string]string{ParamPool: "vms", ParamUser: "instances"}}
			state, err := h.Look(t.Context(), d)
			if diff := cmp.Diff(test.want, state); diff != "" || err != nil {
				t.Errorf("image (-want +got):\n%s%v", diff, err)
			}
			if all, own, err := h.Watchers(t.Context(), d); len(all) != 1 || own != "" || err != nil {
				t.Errorf("watchers %v, own %q, %v", all, own, err)
			}
			if !test.want.Foreign {
				return
			}
			var refused *control.DiskError
			if err := h.Claim(t.Context(), d, control.Claim{Token: "T"}); !errors.As(err, &refused) || refused.Case != "device-foreign" {
				t.Errorf("claimed: %v", err)
			}
			if err := h.Close(t.Context(), d); err != nil {
				t.Errorf("closed: %v", err)
			}
		})
	}
}
