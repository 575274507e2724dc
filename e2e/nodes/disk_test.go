package nodes

import (
	"path/filepath"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

func TestDisks(t *testing.T) {
	nodes := startNodes(t, lab.NodesOptions{Count: 1})
	node := nodes.Node("node1")
	device, err := node.Disk(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, node, "lsblk --noheadings --nodeps --bytes --output NAME,SIZE,TYPE "+device+" | tr -s ' '",
		filepath.Base(device)+" 104857600 loop")
	expect(t, node, "stat -c %U:%G:%a "+device, "root:disk:660")
	run(t, node, "mkfs.ext4 -q "+device)
	expect(t, node, "blkid -o value -s TYPE "+device, "ext4")
	run(t, node, "wipefs -q -a "+device)
	fails(t, node, "blkid "+device)
	run(t, node, "echo mine >"+device+"; chown ceph:ceph "+device)
	second, err := node.Disk(t.Context(), 16)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, node, "stat -c %U "+device+" "+second, "ceph\nroot")

	if err := node.SmallVar(t.Context(), 64); err != nil {
		t.Fatal(err)
	}
	run(t, node, "echo mine >/var/lib/ceph/mon/file")
	if err := node.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, node, "systemctl is-system-running", "running")
	expect(t, node, "head -n 1 "+device+"; stat -c %U "+device+" "+second, "mine\nroot\nroot")
	expect(t, node, "cat /var/lib/ceph/mon/file; stat -c %U:%a /var/lib/ceph /var/lib/ceph/osd", "mine\nceph:750\nceph:755")
	fails(t, node, "head -c 100M /dev/zero >/var/lib/ceph/mon/file")
	expect(t, node, "df --output=avail /var/lib/ceph | tail -n 1 | tr -d ' '", "0")
	if err := node.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	third, err := node.Disk(t.Context(), 16)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, node, "head -n 1 "+device+"; blockdev --getsize64 "+third, "mine\n16777216")
}
