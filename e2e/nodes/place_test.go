package nodes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// testPlace keeps a pool on two of the three nodes: its placement groups are on their OSDs, and only there the kernel is
// refused its images. Nothing that is stored moves for that.
func testPlace(s *site) {
	before := s.acting("rbd")
	create := []string{"pool", "create", "--size", "2", "--on-nodes", "node3,node2", "far"}
	if plan := s.cephctl(append(create, "--plan")...); plan.code != 4 || !strings.Contains(plan.stdout, "no stored data moves") {
		s.t.Errorf("plan: exit status %d\n%s%s", plan.code, plan.stdout, plan.stderr)
	}
	s.do(create...)
	s.nothingToDo(create...)
	var near []int
	for _, name := range []string{"node2", "node3"} {
		id, err := strconv.Atoi(run(s.t, s.master, "ceph osd ls-tree "+name))
		if err != nil {
			s.t.Fatal(err)
		}
		near = append(near, id)
	}
	slices.Sort(near)
	s.wantActive("far")
	for pg, osds := range s.acting("far") {
		if slices.Sort(osds); !slices.Equal(osds, near) {
			s.t.Errorf("placement group %s is on %v, want %v", pg, osds, near)
		}
	}
	if after := s.acting("rbd"); fmt.Sprint(after) != fmt.Sprint(before) {
		s.t.Errorf("what was stored has moved: %v, before %v", after, before)
	}
	if list := s.do("pool", "list").stdout; !strings.Contains(list, "node2, node3\n") {
		s.t.Errorf("pool list says\n%s", list)
	}
	s.nothingToDo("storage", "init-distributed-storage", "-s", "ceph", "default")
	s.refused([]string{"pool-nodes-overlap"}, "pool", "create", "--size", "2", "--on-nodes", "node1,node2", "other")
	testLoopbackRefused(s)
	s.do("pool", "remove", "--yes", "far")
	expect(s.t, s.master, "ceph auth get client.instances 2>/dev/null | grep caps", "\tcaps mgr = \"profile rbd pool=rbd\"\n\tcaps mon = \"profile rbd\"\n\tcaps osd = \"profile rbd pool=rbd\"")
	expect(s.t, s.master, "ceph osd crush rule ls; ceph osd crush class ls | grep on- || true", "replicated_rule")
}

// testLoopbackRefused refuses the kernel what OSDs of its node serve, in one plan with what else is lacking: these nodes
// have no module rbd.
func testLoopbackRefused(s *site) {
	s.do("cluster", "modify", "-D", "rbd:pool=far")
	defer s.do("cluster", "modify", "-D", "rbd:pool=rbd")
	s.do("instance", "add", "--node", "node1", "--memory", "32M", "--disk", "size=16M", "risk.lab")
	s.refused([]string{"disk-no-krbd"}, "instance", "activate-disks", "risk.lab")
	s.do("group", "modify", "-D", "rbd:access=kernelspace", "default")
	s.refused([]string{"disk-no-krbd"}, "instance", "start", "risk.lab")
	s.refused([]string{"loopback", "disk-no-krbd"}, "instance", "start", "--node", "node2", "risk.lab")
	s.refused([]string{"disk-no-krbd"}, "instance", "start", "--allow-loopback", "--node", "node2", "risk.lab")
	plan := s.cephctl("loopback", "plan")
	for _, want := range []string{
		"default  node2  far", "default  node3  far", "cephctl group modify -D rbd:access=userspace default",
		"it takes 2 nodes with OSDs that have no instance of the group and no pool of their own, and there are 0",
	} {
		if plan.code != 13 || !strings.Contains(plan.stdout, want) || strings.Contains(plan.stdout, "default  node1") {
			s.t.Errorf("loopback plan: exit status %d, want 13 and %q\n%s%s", plan.code, want, plan.stdout, plan.stderr)
		}
	}
	s.do("group", "modify", "-D", "rbd:access=", "default")
	if plan := s.cephctl("instance", "start", "--plan", "--node", "node2", "risk.lab"); plan.code != 4 || strings.Contains(plan.stdout, "warning") {
		s.t.Errorf("with access=userspace: exit status %d\n%s%s", plan.code, plan.stdout, plan.stderr)
	}
	s.do("instance", "remove", "--images", "--yes", "risk.lab")
}

// acting returns the OSDs of the placement groups of a pool.
func (s *site) acting(pool string) map[string][]int {
	s.t.Helper()
	list := answer[pgList](s, "ceph pg ls-by-pool "+pool)
	all := map[string][]int{}
	for _, pg := range list.Stats {
		all[pg.ID] = pg.Acting
	}
	return all
}

// pgList is what the tests need of `ceph pg ls-by-pool`.
type pgList struct {
	Stats []struct {
		ID     string `json:"pgid"`
		State  string `json:"state"`
		Acting []int  `json:"acting"`
	} `json:"pg_stats"`
}

// wantActive waits until the placement groups of a pool are active and clean.
func (s *site) wantActive(pool string) {
	s.t.Helper()
	waitUntil(s.t, "the placement groups of "+pool, func() bool {
		list := answer[pgList](s, "ceph pg ls-by-pool "+pool)
		for _, pg := range list.Stats {
			if pg.State != "active+clean" {
				return false
			}
		}
		return len(list.Stats) > 0
	})
}

// testClient makes the node of another group a client: it can use the cluster, and runs nothing of it. Then it is none any
// more, and becomes one again as it comes back into the group.
func testClient(s *site, group, name string) {
	node := s.Node(name)
	s.do("storage", "add-client", group)
	s.nothingToDo("storage", "add-client", group)
	const files = "ls /etc/ceph; stat -c '%a %U' /etc/ceph/*.keyring; pgrep -l ceph- || true; ls /var/lib/ceph/osd /var/lib/ceph/mon"
	const client = "ceph.client.ceph-ganeti-exporter.keyring\nceph.client.instances.keyring\nceph.conf\nrbdmap\n600 root\n600 root\n/var/lib/ceph/mon:\n\n/var/lib/ceph/osd:"
	expect(s.t, node, files, client)
	expect(s.t, node, "timeout 60 ceph -s --id instances -f json | grep -o '\"fsid\":\"[^\"]*'", `"fsid":"`+run(s.t, s.master, "ceph fsid"))
	expect(s.t, node, "timeout 60 rbd --id instances ls rbd", "known")
	// The key is for the images of one pool, and for nothing else.
	fails(s.t, node, "timeout 60 ceph --id instances osd set noout")
	if r := s.do("cluster", "verify"); !strings.Contains(r.stdout, "all is well") {
		s.t.Errorf("verify: %s%s", r.stdout, r.stderr)
	}
	run(s.t, node, "rm /etc/ceph/ceph.client.instances.keyring")
	if r := s.cephctl("cluster", "verify"); !strings.Contains(r.stdout, "cephctl storage add-client "+group) {
		s.t.Errorf("verify of a client without a key: exit status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	s.do("storage", "add-client", group)

	s.do("instance", "add", "--node", name, "--memory", "32M", "--disk", "image=known", "needs.lab")
	s.refused([]string{"client-has-instances"}, "storage", "remove-client", group)
	s.do("instance", "remove", "--yes", "needs.lab")
	s.do("storage", "remove-client", group)
	s.nothingToDo("storage", "remove-client", group)
	expect(s.t, node, "ls /etc/ceph", "rbdmap")
	s.do("group", "add", "spare")
	s.do("group", "assign-nodes", "spare", name)
	s.do("storage", "add-client", group)
	s.do("group", "assign-nodes", group, name)
	expect(s.t, node, files, client)
	s.do("node", "remove", name)
	run(s.t, node, "rm /etc/ceph/*.keyring")
	s.do("node", "add", "--group", group, "--address", node.Address, name)
	expect(s.t, node, files, client)
	s.do("storage", "add-client", "spare")
	if plan := s.cephctl("group", "remove", "--plan", "spare"); plan.code != 4 || !strings.Contains(plan.stdout, "no clients of the storage cluster") {
		s.t.Errorf("group remove: exit status %d\n%s%s", plan.code, plan.stdout, plan.stderr)
	}
	s.do("group", "remove", "spare")
	if status := s.do("storage", "status", "-o", "json").stdout; strings.Contains(status, `"spare"`) {
		s.t.Errorf("a group that is gone is a client:\n%s", status)
	}
}
