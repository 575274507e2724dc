package exporter

import (
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/librbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// librbd's counters name neither the namespace of an image nor where its pool's name ends: what could be of two
// disks is left out.
func TestLibrbdDisk(t *testing.T) {
	disk := func(driver, pool, namespace, image string) qemuDisk {
		source := kvm.Source{Driver: driver, Pool: pool, Namespace: namespace, Image: image}
		return qemuDisk{device: kvm.BlockDevice{Source: source}}
	}
	var parser librbd.Parser
	counters, err := parser.Parse([]byte(`{"librbd-10a-vms-a-b": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		disks []qemuDisk
		want  int // -1 for none
	}{
		"no disks":       {nil, -1},
		"other disks":    {[]qemuDisk{disk("rbd", "vms", "", "a"), disk("rbd", "vms", "", "b")}, -1},
		"one":            {[]qemuDisk{disk("rbd", "vms", "", "a"), disk("rbd", "vms", "x", "a-b")}, 1},
		"krbd":           {[]qemuDisk{disk("host_device", "vms", "", "a-b"), disk("rbd", "vms", "", "a-b")}, 1},
		"two namespaces": {[]qemuDisk{disk("rbd", "vms", "x", "a-b"), disk("rbd", "vms", "y", "a-b")}, -1},
		"two pools":      {[]qemuDisk{disk("rbd", "vms", "", "a-b"), disk("rbd", "vms-a", "", "b")}, -1},
	} {
		got, want := librbdDisk(&counters[0], tc.disks), (*qemuDisk)(nil)
		if tc.want >= 0 {
			want = &tc.disks[tc.want]
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
