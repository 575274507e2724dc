package nodes

import (
	_ "embed"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// speedScript measures an image through librbd and a block device, if one is given: python3 FILE IMAGE [DEVICE].
//
//go:embed kernel_speed.py
var speedScript []byte

// testKernelSpeed measures what access=kernelspace and userspace are to the same image, in one run, and logs it. Of a guest only
// what differs is there: virtio and the guest's own work are the same with both. What it is that the machine has no KVM is told by
// librbd on a container beside. See docs/performance.md.
func testKernelSpeed(s *kernelSite) {
	t := s.t
	run(t, s.master, "rbd create --size 64M rbd/speed; rbd bench --io-type write --io-size 4M --io-total 64M rbd/speed >/dev/null")
	const file = "/root/speed.py"
	for _, node := range []*lab.Node{s.master, s.vm} {
		if err := node.WriteFile(t.Context(), file, speedScript, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	speed := func(what string, node *lab.Node, device string, want int) {
		rows := run(t, node, "python3 "+file+" rbd/speed "+device)
		if got := strings.Count(rows, " ms each, "); got != want {
			t.Errorf("%d rows, want %d", got, want)
		}
		t.Logf("%s:\n%s", what, rows)
	}
	speed("in a container", s.master, "", 4)
	device := run(t, s.vm, "rbd --id instances device map --options noshare rbd/speed")
	speed("in a virtual machine", s.vm, device, 8)
	run(t, s.vm, "rbd device unmap "+device)
	run(t, s.master, "rbd rm --no-progress rbd/speed")
}
