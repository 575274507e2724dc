package nodes

import (
	"strings"
	"testing"
)

// TestRefused makes nodes that can't be what they are to be. All reasons come at once, and nothing is changed anywhere.
func TestRefused(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	s := newSite(t, 3, 1)
	node1, node2, node3 := s.Node("node1"), s.Node("node2"), s.Node("node3")
	s.do("cluster", "init", "-S", "ceph:osd_backend=raw,osd_memory_target=1G,host_reserve=512M")
	for _, node := range s.List() {
		s.do("node", "add", "--address", node.Address, node.Name)
	}
	s.do("node", "modify", "-S", "ceph:disk="+s.disks["node2"][0], "node2")
	s.do("node", "modify", "-S", "ceph:disk="+s.disks["node3"][0], "node3")
	run(t, node2, "mkfs.ext4 -q "+s.disks["node2"][0])
	run(t, node3, `printf '[global]\nfsid = 11111111-2222-3333-4444-555555555555\n' >/etc/ceph/ceph.conf`)
	if err := node3.SmallVar(t.Context(), 64); err != nil {
		t.Fatal(err)
	}
	init := []string{"storage", "init-distributed-storage", "-s", "ceph", "default"}
	s.refused([]string{"no-device", "device-in-use", "foreign-conf", "var-full"}, init...)
	for _, node := range s.List() {
		expect(t, node, "pgrep -l ceph- || true; ls /var/lib/ceph/mon /var/lib/ceph/osd /etc/ceph/*.keyring 2>/dev/null || true",
			"/var/lib/ceph/mon:\n\n/var/lib/ceph/osd:")
	}
	expect(t, node3, "grep fsid /etc/ceph/ceph.conf", "fsid = 11111111-2222-3333-4444-555555555555")

	t.Run("no permission", func(t *testing.T) {
		r := s.cephctlAs("nobody", init...)
		if r.code == 0 || !strings.Contains(r.stderr, "permission denied") {
			t.Errorf("as nobody: exit status %d: %s", r.code, r.stderr)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		run(t, node2, "systemctl stop ssh")
		r := s.cephctl(append(init, "--plan")...)
		if !strings.Contains(r.stdout, "node2") || !strings.Contains(r.stdout, "refused") || r.code != 3 {
			t.Errorf("without sshd on node2: exit status %d: %s%s", r.code, r.stdout, r.stderr)
		}
		run(t, node2, "systemctl start ssh")
	})

	// One cure after the other; then a daemon that does not start.
	s.do("node", "modify", "-S", "ceph:disk="+s.disks["node1"][0], "node1")
	run(t, node2, "wipefs -q -a "+s.disks["node2"][0])
	run(t, node3, "rm /etc/ceph/ceph.conf")
	s.refused([]string{"var-full"}, init...)
	s.do("node", "modify", "--offline=yes", "node3")
	run(t, node1, `mkdir -p /etc/systemd/system/ceph-mgr@.service.d
		printf '[Service]\nExecStartPre=/bin/sh -c "echo the daemon is unwell; exit 1"\n' >/etc/systemd/system/ceph-mgr@.service.d/unwell.conf
		systemctl daemon-reload`)
	if r := s.cephctl(init...); r.code != 1 || !strings.Contains(r.stderr, "the daemon is unwell") || !strings.Contains(r.stderr, "mgr.node1") {
		t.Errorf("with a mgr that does not start: exit status %d: %s", r.code, r.stderr)
	}
	run(t, node1, "rm -r /etc/systemd/system/ceph-mgr@.service.d && systemctl daemon-reload")
	wantNone := s.watchArguments()
	s.do(init...)
	wantNone()
	s.nothingToDo(init...)
	expect(t, node1, "ceph osd stat | grep -o '2 up'", "2 up")
	s.wantNoSecrets()
}
