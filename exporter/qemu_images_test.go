package exporter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// Guests that are no longer looked at may have gone: their images are not exported for ever.
func TestQEMUImagesGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &QEMU{}
		if got := q.Images(); got != nil {
			t.Errorf("before the first scrape: %v", got)
		}
		source := func(driver, image string) qemuDisk {
			return qemuDisk{device: kvm.BlockDevice{Source: kvm.Source{Driver: driver, Pool: "vms", Image: image}}}
		}
		guest := &qemuGuest{known: []qemuDisk{source("rbd", "a"), source("host_device", "b"), source("file", "")}}
		q.keep(map[kvm.Process]*qemuGuest{{PID: 1}: guest})

		want := []ceph.Image{{Pool: "vms", Name: "a"}, {Pool: "vms", Name: "b"}}
		time.Sleep(imagesAge)
		if diff := cmp.Diff(want, q.Images()); diff != "" {
			t.Errorf("two minutes after a scrape (-want +got):\n%s", diff)
		}
		time.Sleep(time.Second)
		if got := q.Images(); got != nil {
			t.Errorf("later: %v", got)
		}
	})
}
