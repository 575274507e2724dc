package nodes

import (
	"strings"
	"testing"
	"time"
)

// testHooks has Ganeti's own commands take care of the storage cluster on three nodes.
func (s *site) testHooks(t *testing.T) {
	s.t = t
	s.part("install", s.testInstall)
	s.part("gnt-node remove", func() {
		s.vetoed("gnt-node remove node3.lab", "node3.lab: is part of distributed storage: it carries mon.node3, osd."+s.osdOf("node3"))
		expect(s.t, s.master, "gnt-node list --no-headers -o name,offline node3.lab | tr -s ' '", "node3.lab N")
	})
	s.part("gnt-group rename", func() { s.vetoed("gnt-group rename default other", "group default is the storage group") })
	s.part("gnt-instance start, gnt-group and gnt-cluster modify -D", s.testInstanceHooks)
	s.part("tags lost", s.testLostTags)
	s.part("gnt-cluster verify", s.testClusterVerify)
	s.part("gnt-node modify -O yes", s.testGoesOffline)
	s.part("gnt-group assign-nodes", s.testAssigned)
	s.part("gnt-node add --readd", s.testComesBack)
	s.part("gnt-node modify -O yes of a node that is down", s.testDownGoes)
	s.part("hooks pause", func() {
		s.do("hooks", "pause", "--for", "1h")
		run(s.t, s.master, "gnt-group rename default other")
		if out := s.do("storage", "status").stdout; !strings.Contains(out, "group   other\n") {
			s.t.Errorf("the storage group is not known by its tag:\n%s", out)
		}
		run(s.t, s.master, "gnt-group rename other default")
		s.do("hooks", "pause", "--for", "0s")
		s.vetoed("gnt-group rename default other", "group default is the storage group")
	})
	s.wantCluster(3, 3) // with node3, which was cut off: until then, no node may go
}

func (s *site) testInstall() {
	s.fails(1, "a node lacks hooks: cephctl hooks install", "hooks", "status")
	s.do("hooks", "install")
	s.nothingToDo("hooks", "install")
	s.wantHooks()
}

// wantHooks wants the hooks on all three nodes.
func (s *site) wantHooks() {
	s.t.Helper()
	if out := s.do("hooks", "status").stdout; strings.Count(out, " installed") != 3 {
		s.t.Errorf("not installed on three nodes:\n%s", out)
	}
}

// osdOf returns the number of the OSD of a node.
func (s *site) osdOf(node string) string { return run(s.t, s.master, "ceph osd ls-tree "+node) }

// testClusterVerify has Ganeti tell what cephctl finds, and keeps the node that data then depends on.
func (s *site) testClusterVerify() {
	t, osd := s.t, s.osdOf("node3")
	run(t, s.Node("node3"), "systemctl stop ceph-osd@"+osd+" ceph-mon@node3")
	s.await(t, "osd."+osd+" to be down", "ceph osd dump | grep -q '^osd."+osd+" down'")
	if out := s.gnt("gnt-cluster verify"); !strings.Contains(out, "cephctl: mon.node3 not in quorum") {
		t.Errorf("gnt-cluster verify does not tell of mon.node3:\n%s", out)
	}
	// Two copies on two nodes with OSDs that are up: one of them may not go.
	s.vetoed("gnt-node modify -O yes node2.lab", "the cluster is not well: ")
	expect(t, s.master, "gnt-node list --no-headers -o offline node2.lab; ceph osd dump | grep -c ' up '", "N\n2")
	run(t, s.Node("node3"), "systemctl start ceph-mon@node3 ceph-osd@"+osd)
	s.wantCluster(3, 3)
}

// testGoesOffline has a node go with its daemons, in the background.
func (s *site) testGoesOffline() {
	t := s.t
	run(t, s.master, "gnt-node modify -O yes node3.lab 2>&1")
	s.await(t, "the daemons of node3 to go", `! ceph osd tree | grep -q node3 && ! ceph mon dump 2>/dev/null | grep -q node3 && ! systemctl is-active -q cephctl-offline-node3.lab`)
	expect(t, s.Node("node3"), "pgrep -l ceph || true", "")
	expect(t, s.master, "gnt-node list --no-headers --separator=: -o name,offline,tags node3.lab", "node3.lab:Y:")
	s.vetoed("gnt-node modify -f -O no node3.lab", "a node of the storage group comes back with its daemons")
}

// testAssigned leaves to cephctl which group a node is in. What Ganeti refuses leaves nothing begun.
func (s *site) testAssigned() {
	const no = "/etc/ganeti/hooks/group-add-pre.d/no"
	run(s.t, s.master, "install -D -m 755 /bin/false "+no)
	s.fails(1, "nothing was done, and there is nothing to go on with", "group", "add", "other")
	run(s.t, s.master, "rm "+no)
	s.do("group", "add", "spare")
	s.do("group", "assign-nodes", "spare", "node3.lab")
	if out := s.gnt("gnt-group assign-nodes default node3.lab"); !strings.Contains(out, "Job was canceled") {
		s.t.Errorf("gnt-group assign-nodes was not rejected:\n%s", out)
	}
	expect(s.t, s.master, "gnt-node list --no-headers -o group node3.lab", "spare")
	s.testWithoutAPI()
	s.do("group", "assign-nodes", "default", "node3.lab")
	s.do("group", "remove", "spare")
}

// testWithoutAPI has hooks that can't use Ganeti's remote API keep the storage group, and let pass what has nothing to do with it.
func (s *site) testWithoutAPI() {
	run(s.t, s.master, "mv /etc/cephctl.rapi /root")
	s.vetoed("gnt-group rename default other", "cephctl can't tell whether")
	s.vetoed("gnt-node modify -O yes node2.lab", "cephctl can't tell whether")
	run(s.t, s.master, "gnt-group rename spare other && gnt-group rename other spare && gnt-node modify -f -O no node3.lab && gnt-node modify -O yes node3.lab")
	run(s.t, s.master, "mv /root/cephctl.rapi /etc")
}

// testComesBack has a node come back with its hooks and daemons. What is refused in the background is shown, and the watcher begins
// it again.
func (s *site) testComesBack() {
	t := s.t
	s.do("hooks", "remove", "node3.lab")
	s.do("node", "modify", "-S", "ceph:disk=/dev/none", "node3.lab")
	run(t, s.master, "gnt-node add --readd --no-ssh-key-check node3.lab 2>&1")
	s.await(t, "the refusal", "systemctl is-failed -q cephctl-readd-node3.lab")
	if out := s.do("storage", "status").stdout; !strings.Contains(out, "cephctl-readd-node3.lab.service (failed)") {
		t.Errorf("what was refused is not shown:\n%s", out)
	}
	s.do("node", "modify", "-S", "ceph:disk="+s.disks["node3"][0], "node3.lab")
	run(t, s.master, "/etc/ganeti/hooks/watcher/cephctl")
	s.await(t, "node3 to be a member again", `gnt-node list --no-headers -o tags node3.lab | grep -q distributed-storage:ceph && ! systemctl is-active -q cephctl-readd-node3.lab`)
	s.wantCluster(3, 3)
	s.wantHooks()
}

// testDownGoes lets a node go offline whose daemons are down, also without an answer.
func (s *site) testDownGoes() {
	s.cut(s.Node("node3"))
	s.waitDown("node3")
	run(s.t, s.master, "gnt-node modify -O yes node3.lab 2>&1")
	expect(s.t, s.master, "gnt-node list --no-headers -o offline node3.lab", "Y")
	s.restore(s.Node("node3"))
}

// testInstanceHooks has Ganeti keep the pool of an instance, and start it with a warning, as the kernel is to open its disk on a
// node with OSDs. What stands in for that opens it all the same.
func (s *site) testInstanceHooks() {
	run(s.t, s.master, addGuest)
	s.vetoed("gnt-cluster modify -D rbd:pool=other", "pool of rbd says where the disks of instances of group default are: "+ganetiGuest)
	s.vetoed("gnt-group modify -D rbd:pool=other default", "pool of rbd says where the disks of instances of group default are: "+ganetiGuest)
	run(s.t, s.master, "gnt-group modify -D rbd:access=kernelspace default 2>&1")
	out := run(s.t, s.master, "gnt-instance start "+ganetiGuest+" 2>&1")
	if !strings.Contains(out, "WARNING") || !strings.Contains(out, "script instance-start-post.d/cephctl failed, output: warning: cephctl: node2.lab: ") {
		s.t.Errorf("gnt-instance start tells nothing:\n%s", out)
	}
	expect(s.t, s.master, "gnt-instance list --no-headers -o status "+ganetiGuest, "running")
	run(s.t, s.master, "gnt-group modify -D rbd:access=userspace default 2>&1; gnt-instance remove -f --shutdown-timeout=0 "+ganetiGuest+" 2>&1")
}

// testLostTags takes the tags away by which Ganeti knows the storage group and its nodes: that is told, and refused all the same
// is what would be, and they come back.
func (s *site) testLostTags() {
	const (
		tag  = "distributed-storage:ceph"
		tags = "gnt-group list-tags default; gnt-node list --no-headers -o tags node3.lab"
	)
	run(s.t, s.master, "gnt-group remove-tags default "+tag+" 2>&1; gnt-node remove-tags node3.lab "+tag+" 2>&1")
	expect(s.t, s.master, tags, "")
	s.vetoed("gnt-group rename default other", "group default is the storage group")
	out := s.gnt("gnt-cluster verify")
	for _, want := range []string{"group default is the storage group and has lost its mark: ", "node3.lab: carries daemons of the storage cluster and has lost its mark: "} {
		if !strings.Contains(out, want) {
			s.t.Errorf("gnt-cluster verify does not tell %q:\n%s", want, out)
		}
	}
	s.do("storage", "init-distributed-storage", "-s", "ceph", "default")
	expect(s.t, s.master, tags, tag+"\n"+tag)
}

// gnt runs a command of Ganeti's on the master and returns all that it says, however it ends.
func (s *site) gnt(command string) string {
	s.t.Helper()
	return run(s.t, s.master, command+" 2>&1 || true")
}

// vetoed wants a command of Ganeti's to be refused by a hook, with these words.
func (s *site) vetoed(command, words string) {
	s.t.Helper()
	start := time.Now()
	out := run(s.t, s.master, "if "+command+" 2>&1; then echo went through; fi")
	s.t.Logf("%s was answered after %.1f s", command, time.Since(start).Seconds())
	if !strings.Contains(out, "hooks execution failed") || !strings.Contains(out, words) || strings.Contains(out, "went through") {
		s.t.Errorf("%s: want it refused with %q, got:\n%s", command, words, out)
	}
}

// await waits for a shell script to succeed on the master.
func (s *site) await(t *testing.T, what, script string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		if run(t, s.master, "if "+script+"; then echo yes; fi") == "yes" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s:\n%s", what, s.gnt("cephctl storage status; journalctl -b --no-pager -n 60 -u 'cephctl-*'; tail -n 40 /var/log/cephctl.log"))
		}
	}
}

// testFailover makes another node the master while a node goes offline: the same command goes on there.
func (s *site) testFailover(t *testing.T) {
	s.t = t
	s.wantCluster(3, 3) // a mon that has come back can have slow requests for a while, which nobody goes offline beside
	run(t, s.master, "gnt-cluster redist-conf 2>&1; gnt-cluster copyfile /etc/cephctl.rapi 2>&1; rm -f /root/killed")
	offline := []string{"node", "modify", "--offline=yes", "--yes", "node3.lab"}
	for range 3 {
		if r := s.cephctlOn(s.master, []string{"FAULT_AT=effect", "FAULT_FILE=/root/killed"}, offline...); r.code != -1 && r.code != 137 {
			t.Fatalf("cephctl was not killed: exit status %d\n%s%s", r.code, r.stdout, r.stderr)
		}
	}
	run(t, s.Node("node2"), "gnt-cluster master-failover 2>&1")
	old := s.master
	s.master = s.Node("node2")
	if r := s.cephctlOn(old, nil, "node", "list"); r.code != 1 || !strings.Contains(r.stderr, "run this on node2.lab") {
		t.Errorf("on the old master: exit status %d: %s", r.code, r.stderr)
	}
	if r := s.do(offline...); !strings.Contains(r.stderr, "going on with what root@node1 began") {
		t.Errorf("the new master does not know what was begun:\n%s%s", r.stdout, r.stderr)
	}
	s.nothingToDo(offline...)
	s.do("node", "add", "--readd", "node3.lab")
	s.wantCluster(3, 3)
	expect(t, old, "grep -c operation /var/lib/cephctl/state.json || true", "0")
}
