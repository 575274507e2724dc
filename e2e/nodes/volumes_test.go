package nodes

import (
	"os"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestVolumes makes OSDs on logical volumes, the default, on a node with a kernel that has them.
func TestVolumes(t *testing.T) {
	if os.Getenv("TEST_LONG") == "" {
		t.Skip("takes a quarter of an hour in a virtual machine without KVM: run make e2e-long")
	}
	t.Parallel() // most of the time, daemons are waited for
	s := newSiteOf(t, lab.NodesOptions{Count: 1, VM: &lab.VM{MemoryMiB: 4096}}, 2)
	s.do("cluster", "init", "--name", "lab", "-S", "ceph:size=2,osd_memory_target=1G,host_reserve=512M")
	s.do("node", "add", "--address", s.master.Address, "node1")
	s.do("node", "modify", "-S", "ceph:disk="+s.disks["node1"][0]+",disk="+s.disks["node1"][1], "node1")

	init := []string{"storage", "init-distributed-storage", "-s", "ceph", "default"}
	s.killed(8, init...)
	s.quiet()
	s.wantVolumes(2)
	s.nothingToDo(init...)
	data := s.writeImage()

	if err := s.master.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantVolumes(2)
	s.wantImage(data)

	s.addDisks(s.master, 1)
	s.do("storage", "replace-osd", "--yes", "--device", s.disks["node1"][2], "1")
	s.wantVolumes(2)
	s.wantImage(data)
	pristine(t, s.master, s.disks["node1"][1])

	s.do("storage", "destroy", "--yes", "--force", "--cluster-id", run(t, s.master, "ceph fsid"))
	for _, disk := range s.disks["node1"] {
		pristine(t, s.master, disk)
	}
	expect(t, s.master, "pvs --noheadings; ls /var/lib/ceph/osd; systemctl list-units --all --no-legend 'ceph-volume@*'", "")
}

// wantVolumes waits until so many OSDs are up and in and all is well, and finds each by the tags of its volume.
func (s *site) wantVolumes(count int) {
	s.t.Helper()
	s.wantCluster(1, count)
	volumes := answer[map[string][]struct {
		Tags map[string]string `json:"tags"`
	}](s, "ceph-volume lvm list --format json #")
	if len(volumes) != count {
		s.t.Errorf("%d OSDs on volumes, want %d: %v", len(volumes), count, volumes)
	}
	fsid := run(s.t, s.master, "ceph fsid")
	for id, parts := range volumes {
		if len(parts) != 1 || parts[0].Tags["ceph.cluster_fsid"] != fsid || parts[0].Tags["ceph.osd_id"] != id {
			s.t.Errorf("osd.%s: tags %v", id, parts)
		}
	}
}

// pristine wants nothing on a disk.
func pristine(t *testing.T, node *lab.Node, disk string) {
	t.Helper()
	expect(t, node, "wipefs --no-act "+disk+"; lsblk --noheadings --output TYPE "+disk, "disk")
}
