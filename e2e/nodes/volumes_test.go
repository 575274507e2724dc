package nodes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestVolumes makes OSDs on logical volumes, the default, on a node with a kernel that has them: a virtual machine, beside
// containers. It has a clock of its own, too.
func TestVolumes(t *testing.T) {
	onlyLong(t, "ten minutes without KVM")
	t.Parallel() // most of the time, the virtual machine is waited for
	lab.RequireVM(t)
	s := newVolumesSite(t)
	vm, disks := s.vm, s.disks["node3"]
	init := []string{"storage", "init-distributed-storage", "-s", "ceph", "default"}

	s.wantForeign(disks[0], init...)
	for _, program := range []string{"pvcreate", "lvcreate", "ceph-volume"} {
		s.killedIn(program, init...)
	}
	s.do(init...)
	s.quiet()
	id := s.wantVolume()
	s.nothingToDo(init...)
	data := s.writeImage()

	if err := vm.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := s.wantVolume(); again != id {
		t.Errorf("osd.%s has become osd.%s", id, again)
	}
	// It was started when its data folder was filled, and not before.
	expect(t, vm, "systemctl show --property NRestarts ceph-osd@"+id, "NRestarts=0")
	s.wantImage(data)

	s.do("storage", "replace-osd", "--yes", "--device", disks[1], id)
	if again := s.wantVolume(); again != id {
		t.Errorf("osd.%s was made again as osd.%s", id, again)
	}
	s.wantImage(data)
	s.wantPristine(disks[0])

	// One that is half made goes as well.
	s.do("node", "modify", "-S", "ceph:disk="+disks[1]+",disk="+disks[2], "node3")
	s.killedIn("vgcreate", init...)
	s.do("storage", "cancel")
	s.do("storage", "destroy", "--yes", "--force", "--cluster-id", run(t, s.master, "ceph fsid"))
	s.wantPristine(disks...)
	expect(t, vm, "pvs --noheadings; ls /var/lib/ceph/osd; find /etc/systemd /run/systemd/system -name 'ceph-osd@*' -o -name 'ceph-volume@*'", "")
}

// volumesSite is a site of which one node is a virtual machine.
type volumesSite struct {
	*site
	vm *lab.Node
}

// newVolumesSite starts two containers, which have an OSD each and all other daemons, and a virtual machine with three disks.
func newVolumesSite(t *testing.T) *volumesSite {
	t.Helper()
	s := &volumesSite{site: newSite(t, 2, 1)}
	var err error
	if s.vm, err = s.addVM("node3", lab.VM{MemoryMiB: 3072}); err != nil {
		t.Fatal(err)
	}
	s.addDisks(s.vm, 3)
	s.do("cluster", "init", "--name", "lab", "-S", "ceph:mons=1,size=2,min_size=1,osd_memory_target=1G,host_reserve=512M")
	for _, node := range s.List() {
		s.do("node", "add", "--address", node.Address, node.Name)
		options := "ceph:disk=" + s.disks[node.Name][0]
		if node != s.vm {
			options += ",osd_backend=raw" // containers have no LVM
		}
		s.do("node", "modify", "-S", options, node.Name)
	}
	return s
}

// wantForeign wants a command refused while the virtual machine's clock is off and somebody else's volume is on the disk,
// and cures both: the disk as the refusal says.
func (s *volumesSite) wantForeign(disk string, args ...string) {
	s.t.Helper()
	run(s.t, s.vm, "vgcreate -q data "+disk+" && lvcreate -q -n volume -l 100%FREE data && date -s '-30 seconds'")
	s.refused([]string{"clock-skew", "device-in-use"}, args...)
	run(s.t, s.vm, "date -s '+60 seconds'")
	r := s.cephctl(args...)
	cure := "vgremove data && pvremove " + disk
	for _, want := range []string{
		"node3: its clock is off by 2", "s: set it, for example with chrony: mons need clocks that agree [clock-skew]",
		disk + " is not empty: volume group data: if nothing on it is needed, wipe it: " + cure + " [device-in-use]",
	} {
		if !strings.Contains(r.stderr, want) || r.code != 3 {
			s.t.Errorf("exit status %d, want 3 and %q:\n%s%s", r.code, want, r.stdout, r.stderr)
		}
	}
	// Its hardware's clock is the host's.
	run(s.t, s.vm, `date -s "@$(cat /sys/class/rtc/rtc0/since_epoch)"; `+strings.Replace(cure, "vgremove", "vgremove --yes", 1))
}

// killedIn runs cephctl, whose agent on the virtual machine is killed when a program that it runs has done its work. Of
// lvcreate, the last part is left out: the volume is there, and not active.
func (s *volumesSite) killedIn(program string, args ...string) {
	s.t.Helper()
	script := fmt.Sprintf(`cat >/usr/local/sbin/%[1]s <<'END'
#!/bin/sh
rm /usr/local/sbin/%[1]s
/usr/sbin/%[1]s "$@" || exit
[ %[1]s != lvcreate ] || vgchange --activate n
kill -KILL $PPID
END
chmod 755 /usr/local/sbin/%[1]s`, program)
	run(s.t, s.vm, script)
	r := s.cephctl(args...)
	if r.code != 1 || !strings.Contains(r.stderr, "node3: its agent was killed: run the same command again") {
		s.t.Fatalf("killed in %s: exit status %d\n%s%s", program, r.code, r.stdout, r.stderr)
	}
}

// wantVolume waits until three OSDs are up and in and all is well, finds that of the virtual machine by the tags of its
// volume, and returns its number.
func (s *volumesSite) wantVolume() (id string) {
	s.t.Helper()
	s.wantCluster(1, 3)
	var volumes map[string][]struct {
		Tags map[string]string `json:"tags"`
	}
	listed := run(s.t, s.vm, "ceph-volume lvm list --format json")
	if err := json.Unmarshal([]byte(listed), &volumes); err != nil || len(volumes) != 1 {
		s.t.Fatalf("want one OSD on a volume: %v: %s", err, listed)
	}
	id = slices.Collect(maps.Keys(volumes))[0]
	fsid := run(s.t, s.master, "ceph fsid")
	if parts := volumes[id]; len(parts) != 1 || parts[0].Tags["ceph.cluster_fsid"] != fsid || parts[0].Tags["ceph.osd_id"] != id {
		s.t.Errorf("osd.%s: tags %v, want those of cluster %s", id, parts, fsid)
	}
	return id
}

// wantPristine wants nothing on disks of the virtual machine.
func (s *volumesSite) wantPristine(disks ...string) {
	s.t.Helper()
	for _, disk := range disks {
		expect(s.t, s.vm, "wipefs --no-act "+disk+"; lsblk --noheadings --output TYPE "+disk, "disk")
	}
}
