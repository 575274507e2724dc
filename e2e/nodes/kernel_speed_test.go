package nodes

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// speedScript measures an image through both clients: python3 FILE IMAGE DEVICE.
//
//go:embed kernel_speed.py
var speedScript []byte

// TestKernelSpeed measures what access=kernelspace and userspace are to the same image, in one run, and logs it. Of a guest only
// what differs is there: virtio and the guest's own work are the same with both. See docs/performance.md.
func TestKernelSpeed(t *testing.T) {
	onlyLong(t, "five minutes without KVM, on an idle machine")
	lab.RequireVM(t)
	s := newKernelSite(t)
	run(t, s.master, "rbd create --size 64M rbd/speed; rbd bench --io-type write --io-size 4M --io-total 64M rbd/speed >/dev/null")
	if err := s.vm.WriteFile(t.Context(), "/root/speed.py", speedScript, 0o600); err != nil {
		t.Fatal(err)
	}
	device := run(t, s.vm, "rbd --id instances device map --options noshare rbd/speed")
	rows := run(t, s.vm, "python3 /root/speed.py rbd/speed "+device)
	if got := strings.Count(rows, " ms each, "); got != 8 {
		t.Errorf("%d rows, want 8", got)
	}
	t.Log("\n" + rows)
}
