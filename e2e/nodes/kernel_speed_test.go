package nodes

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// speedScript measures an image through librbd and the block devices that are given: python3 FILE IMAGE [NAME=DEVICE ...].
//
//go:embed kernel_speed.py
var speedScript []byte

// testKernelSpeed measures what access=userspace and kernelspace are to the same image in the same virtual machine, in one run,
// and logs it: the machine has it as a virtio disk that its QEMU opens through librbd, as the block device of its kernel, and through
// a librbd of its own. What it is that the machine has no KVM is told by librbd on a container beside. See docs/performance.md.
//
// The image lacks the feature exclusive-lock, which the clients would hand over to each other at each turn.
func testKernelSpeed(s *kernelSite) {
	t := s.t
	run(t, s.master, `rbd create --size 64M --image-feature layering rbd/speed
rbd bench --io-type write --io-size 4M --io-total 64M rbd/speed >/dev/null`)
	const file = "/root/speed.py"
	for _, node := range []*lab.Node{s.master, s.vm} {
		if err := node.WriteFile(t.Context(), file, speedScript, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	speed := func(what string, node *lab.Node, devices string, want int) {
		rows := run(t, node, "python3 "+file+" rbd/speed "+devices)
		if got := strings.Count(rows, " ms each, "); got != want {
			t.Errorf("%d rows, want %d", got, want)
		}
		t.Logf("%s:\n%s", what, rows)
	}
	speed("in a container", s.master, "", 4)
	krbd := run(t, s.vm, "rbd --id instances device map --options noshare rbd/speed")
	virtio, err := s.vm.RBDDisk(t.Context(), clientConf(t, s.vm), "instances", "rbd", "speed")
	if err != nil {
		t.Fatal(err)
	}
	speed("in a virtual machine", s.vm, "virtio="+virtio+" krbd="+krbd, 12)
	run(t, s.vm, "rbd device unmap "+krbd)
}

// clientConf copies what a node has to reach the cluster as the user for instances, and returns the ceph.conf.
func clientConf(t *testing.T, node *lab.Node) string {
	t.Helper()
	dir := t.TempDir()
	keyring, conf := filepath.Join(dir, "keyring"), filepath.Join(dir, "ceph.conf")
	for file, text := range map[string]string{
		keyring: run(t, node, "cat /etc/ceph/ceph.client.instances.keyring") + "\n",
		conf:    run(t, node, "cat /etc/ceph/ceph.conf") + "\n[client.instances]\nkeyring = " + keyring + "\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return conf
}
