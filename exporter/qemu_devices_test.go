package exporter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// Only block devices of the host are named, and those of guests that are no longer looked at are not.
func TestQEMUDevicesGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &QEMU{}
		if got := q.Devices(); got != nil {
			t.Errorf("before the first scrape: %v", got)
		}
		disk := func(driver, path, cache string) qemuDisk {
			return qemuDisk{device: kvm.BlockDevice{Source: kvm.Source{Driver: driver, Path: path}, Cache: cache}}
		}
		q.keep(map[kvm.Process]*qemuGuest{{PID: 1}: {
			Guest: kvm.Guest{Instance: "web1"},
			known: []qemuDisk{disk("host_device", "/dev/rbd77", "none"), disk("rbd", "", "writeback"), disk("file", "/srv/x", "none")},
		}})
		want := map[string]GuestDevice{"rbd77": {Instance: "web1", Cache: "none"}}
		time.Sleep(imagesAge)
		if diff := cmp.Diff(want, q.Devices()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		time.Sleep(time.Second)
		if got := q.Devices(); got != nil {
			t.Errorf("later: %v", got)
		}
	})
}
