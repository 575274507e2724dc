package nodes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestCluster makes a cluster of three nodes, and lets nodes come and go. An image that was written at the beginning
// reads back bit for bit after each part.
func TestCluster(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	s := newSite(t, 3, 1)
	s.init("raw")
	s.wantCluster(3, 3)
	s.nothingToDo("storage", "init-distributed-storage", "-s", "ceph", "default")
	s.wantMarks("node1", "node2", "node3")
	data := s.writeImage()

	for _, part := range []struct {
		name string
		test func(*site)
	}{
		{"verify", testVerify},
		{"exporter", testExporter},
		{"packages", testPackages},
		{"instance", testInstance},
		{"pool on nodes", testPlace},
		{"modify", testModify},
		{"fourth node", testFourthNode},
		{"reboot", testReboots},
		{"offline without draining", testKept},
		{"replace an OSD", testReplace},
		{"network cut", testCut},
		{"dead node", testDead},
		{"export and restore", testExport},
		{"destroy", testDestroy},
	} {
		s.part(part.name, func() {
			part.test(s)
			if part.name != "destroy" {
				s.wantImage(data)
			}
		})
	}
}

// init makes the storage cluster from all nodes, on their first disk.
func (s *site) init(backend string) {
	s.t.Helper()
	options := "ceph:osd_backend=" + backend + ",osd_memory_target=1G,host_reserve=512M"
	s.do("cluster", "init", "--name", "lab", "-S", options)
	for _, node := range s.List() {
		s.do("node", "add", "--address", node.Address, node.Name)
		s.do("node", "modify", "-S", "ceph:disk="+strings.Join(s.disks[node.Name], ",disk="), node.Name)
	}
	s.do("storage", "init-distributed-storage", "-s", "ceph", "default")
	s.quiet()
}

// wantMarks wants these nodes, and no others, to be online members that know it.
func (s *site) wantMarks(members ...string) {
	s.t.Helper()
	r := s.do("node", "list")
	for _, node := range s.List() {
		line := ""
		for l := range strings.Lines(r.stdout) {
			if strings.HasPrefix(l, node.Name+" ") {
				line = l
			}
		}
		want := false
		for _, m := range members {
			want = want || m == node.Name
		}
		if got := strings.Contains(line, "online") && strings.Contains(line, "ceph"); got != want {
			s.t.Errorf("node list says %q of %s", line, node.Name)
		}
	}
	for _, m := range members {
		info := run(s.t, s.Node(m), "cat /var/lib/cephctl/node.json")
		if !strings.Contains(info, `"group":"default"`) || strings.Contains(info, "key") {
			s.t.Errorf("node.json of %s: %s", m, info)
		}
	}
}

// writeImage makes an image with known content and returns its checksum.
func (s *site) writeImage() string {
	content := strings.Repeat("known content\n", 1<<20)
	sum := sha256.Sum256([]byte(content))
	run(s.t, s.master, `yes 'known content' | head -c `+fmt.Sprint(len(content))+` >/root/known && rbd import --no-progress /root/known rbd/known && rm /root/known`)
	return hex.EncodeToString(sum[:])
}

// wantImage reads the image and compares.
func (s *site) wantImage(sum string) {
	s.t.Helper()
	expect(s.t, s.master, "rbd export --no-progress rbd/known - | sha256sum", sum+"  -")
}

func testVerify(s *site) {
	if r := s.do("cluster", "verify"); !strings.Contains(r.stdout, "all is well") {
		s.t.Errorf("verify: %s%s", r.stdout, r.stderr)
	}
	status := s.do("storage", "status").stdout
	for _, want := range []string{"HEALTH_OK", "3 of 3 mons", "osd.0", "mgr.node1", "up, in", "standby"} {
		if !strings.Contains(status, want) {
			s.t.Errorf("storage status lacks %q:\n%s", want, status)
		}
	}
	// The admin's key is on the master only; nobody but root reads any key.
	expect(s.t, s.master, "stat -c '%a %U' /etc/ceph/*.keyring | sort -u", "600 root")
	expect(s.t, s.Node("node2"), "ls /etc/ceph; stat -c '%a %U' /etc/ceph/*.keyring | sort -u",
		"ceph.client.ceph-ganeti-exporter.keyring\nceph.client.instances.keyring\nceph.conf\nrbdmap\n600 root")
	expect(s.t, s.master, "find /var/lib/ceph -ignore_readdir_race -path /var/lib/ceph/crash -prune -o ! -user ceph -print", "")
	expect(s.t, s.master, "ceph config get mon auth_allow_insecure_global_id_reclaim", "false")
	expect(s.t, s.master, "ceph osd pool ls detail -f json | grep -o '\"rbd\":{}'", `"rbd":{}`)
}

func testModify(s *site) {
	s.refused([]string{"cluster-modify-initialised"}, "cluster", "modify", "-S", "ceph:mons=1")
	s.refused([]string{"other-storage-group"}, s.otherGroup()...)
}

// otherGroup makes another group and returns the command that would make it the storage group.
func (s *site) otherGroup() []string {
	s.do("group", "add", "other")
	return []string{"storage", "init-distributed-storage", "-s", "ceph", "other"}
}

func testFourthNode(s *site) {
	node, err := s.AddNode(s.t.Context(), "node4")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := node.CopyFile(s.t.Context(), buildCephctl(s.t), "/usr/sbin/cephctl", 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.addDisks(node, 1)
	s.do("node", "add", "--group", "other", "--address", node.Address, "node4")
	testClient(s, "other", "node4")
	s.do("node", "modify", "-S", "ceph:disk="+s.disks["node4"][0], "node4")
	s.refused([]string{"assign-online"}, "group", "assign-nodes", "default", "node4")
	s.do("node", "modify", "--offline=yes", "node4")
	s.do("group", "assign-nodes", "default", "node4")
	s.refused([]string{"node-online"}, "node", "modify", "--offline=no", "node4")
	expect(s.t, node, "ls /etc/ceph; pgrep -l ceph || true", "ceph.client.ceph-ganeti-exporter.keyring\nceph.client.instances.keyring\nceph.conf\nrbdmap")
	s.do("node", "add", "--readd", "node4")
	s.wantCluster(3, 4)
	s.wantMarks("node1", "node2", "node3", "node4")
	s.refused([]string{"node-in-storage"}, "node", "remove", "node4")
	s.refused([]string{"assign-carries"}, "group", "assign-nodes", "other", "node4")

	s.do("node", "modify", "--offline=yes", "node4")
	s.wantCluster(3, 3)
	s.wantMarks("node1", "node2", "node3")
	expect(s.t, node, "pgrep -l ceph || true; ls /var/lib/ceph/osd /var/lib/ceph/mon", "/var/lib/ceph/mon:\n\n/var/lib/ceph/osd:")
	expect(s.t, s.master, "ceph osd tree | grep -c node4 || true; ceph auth ls 2>/dev/null | grep -c 'osd.3\\|node4' || true", "0\n0")
	s.nothingToDo("node", "modify", "--offline=yes", "node4")
	s.do("node", "remove", "node4")
}

func testReboots(s *site) {
	for _, name := range []string{"node2", "node1"} {
		if err := s.Node(name).Reboot(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		s.wantCluster(3, 3)
	}
}

// testKept takes a node offline whose data has nowhere to go, and brings it back.
func testKept(s *site) {
	s.refused([]string{"cannot-drain"}, "node", "modify", "--offline=yes", "node3")
	s.do("node", "modify", "--offline=yes", "--no-drain", "node3")
	expect(s.t, s.Node("node3"), "pgrep -l ceph- || true", "")
	s.refused([]string{"assign-carries"}, "group", "assign-nodes", "other", "node3")
	s.do("node", "add", "--readd", "node3")
	s.wantCluster(3, 3)
	s.wantMarks("node1", "node2", "node3")
}

func testReplace(s *site) {
	node := s.Node("node2")
	old := s.disks["node2"]
	s.addDisks(node, 1)
	device := s.disks["node2"][1]
	id := run(s.t, s.master, "ceph osd ls-tree node2")
	run(s.t, node, "systemctl stop ceph-osd@"+id)
	run(s.t, s.master, "ceph osd down "+id)
	s.refused([]string{"consent"}, "storage", "replace-osd", "--device", device, id)
	s.do("storage", "replace-osd", "--yes", "--device", device, id)
	s.wantCluster(3, 3)
	expect(s.t, s.master, "ceph osd ls-tree node2", id)
	expect(s.t, node, "readlink -f /var/lib/ceph/osd/ceph-"+id+"/block; wipefs --no-act "+old[0], device)
	s.nothingToDo("storage", "init-distributed-storage", "-s", "ceph", "default")
}

// testCut cuts a node off before a command, and in the middle of a step: what needs it says so, and goes on when it is
// back.
func testCut(s *site) {
	node := s.Node("node3")
	s.cut(node)
	r := s.cephctl("node", "modify", "--offline=yes", "--no-drain", "node3")
	if r.code == 0 || !strings.Contains(r.stderr, "node3") || !strings.Contains(r.stderr, "node remove --dead node3") {
		s.t.Errorf("offline of a node that is cut off: exit status %d: %s", r.code, r.stderr)
	}
	s.restore(node)
	s.wantCluster(3, 3)

	s.do("node", "modify", "--offline=yes", "--no-drain", "node3")
	readd := make(chan result)
	go func() { readd <- s.cephctl("node", "add", "--readd", "node3") }()
	run(s.t, node, "for try in $(seq 6000); do pgrep -x ceph-mon && exit 0; sleep 0.1; done; exit 1")
	s.cut(node)
	if r := <-readd; r.code != 1 || !strings.Contains(r.stderr, "node3") || !strings.Contains(r.stderr, "cephctl node add --readd node3") {
		s.t.Errorf("readd of a node that is cut off: exit status %d: %s", r.code, r.stderr)
	}
	s.restore(node)
	s.do("node", "add", "--readd", "node3")
	s.wantCluster(3, 3)
	s.wantMarks("node1", "node2", "node3")
}

func (s *site) cut(node *lab.Node) {
	s.t.Helper()
	if err := node.CutNetwork(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) restore(node *lab.Node) {
	s.t.Helper()
	if err := node.RestoreNetwork(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func testDead(s *site) {
	s.refused([]string{"node-answers"}, "node", "remove", "--dead", "node3", "--yes")
	if err := s.Node("node3").Kill(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.waitDown("node3")
	s.do("node", "remove", "--dead", "--yes", "node3")
	expect(s.t, s.master, "ceph osd tree | grep -c node3 || true; ceph mon dump 2>/dev/null | grep -c node3 || true; ceph auth ls 2>/dev/null | grep -c node3 || true", "0\n0\n0")
	expect(s.t, s.master, "grep 'mon host' /etc/ceph/ceph.conf | grep -c "+s.Node("node3").Address+" || true", "0")
	if list := s.do("node", "list").stdout; strings.Contains(list, "node3") {
		s.t.Errorf("node3 is still in the inventory:\n%s", list)
	}
}

// waitDown waits until the cluster knows that a node's daemons are down.
func (s *site) waitDown(host string) {
	s.t.Helper()
	run(s.t, s.master, `for try in $(seq 300); do
		ceph osd tree down | grep -q `+host+` && ! ceph quorum_status | grep -o '"quorum_names":[^]]*' | grep -q `+host+` && exit 0
		sleep 2
	done
	ceph status; exit 1`)
}

// testExport makes another node the master.
func testExport(s *site) {
	s.do("storage", "export", "/root/storage.json")
	expect(s.t, s.master, "stat -c %a /root/storage.json", "600")
	run(s.t, s.master, "scp -q /root/storage.json node2:/root/storage.json")
	node := s.Node("node2")
	if r := s.cephctlOn(node, nil, "storage", "restore", "/root/storage.json"); r.code != 0 {
		s.t.Fatalf("restore: exit status %d: %s", r.code, r.stderr)
	}
	if r := s.cephctlOn(node, nil, "storage", "status"); r.code != 0 || !strings.Contains(r.stdout, "2 of 2 mons") {
		s.t.Errorf("status of the new master: exit status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	run(s.t, node, "rm -r /var/lib/cephctl/state.json* /etc/ceph/ceph.client.admin.keyring")
}

func testDestroy(s *site) {
	s.refused([]string{"consent"}, "storage", "destroy", "--yes")
	id := run(s.t, s.master, "ceph fsid")
	s.refused([]string{"pool-has-images"}, "storage", "destroy", "--yes", "--cluster-id", id)
	s.do("storage", "destroy", "--yes", "--force", "--cluster-id", id)
	for _, name := range []string{"node1", "node2"} {
		node := s.Node(name)
		expect(s.t, node, "pgrep -l ceph- || true; ls /etc/ceph; ls /var/lib/ceph/osd /var/lib/ceph/mon /var/lib/ceph/mgr",
			"rbdmap\n/var/lib/ceph/mgr:\n\n/var/lib/ceph/mon:\n\n/var/lib/ceph/osd:")
		expect(s.t, node, "wipefs --no-act "+strings.Join(s.disks[name], " "), "")
	}
	s.wantNoSecrets()
}

// wantNoSecrets looks for keys in what cephctl has logged and remembered.
func (s *site) wantNoSecrets() {
	s.t.Helper()
	for _, node := range s.List() {
		if node.Name == "node3" {
			continue // dead
		}
		expect(s.t, node, `grep -rlE '`+keyForm+`' /var/log/cephctl.log /var/lib/cephctl 2>/dev/null || true`, "")
	}
}
