package nodes

import (
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestGaneti has Ganeti keep the nodes: cephctl reads and marks them there, and makes the storage cluster of them.
func TestGaneti(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	newSite(t, 3, 1).testGaneti()
}

// TestGanetiTrixie does all that with Debian 13, which has Ganeti 3.1 and Ceph 18.
func TestGanetiTrixie(t *testing.T) {
	onlyLong(t, "twenty minutes, and some more for another folder that the nodes are overlays of")
	t.Parallel()
	s := newSiteOf(t, lab.NodesOptions{Suite: "trixie"}, 1)
	expect(t, s.master, `dpkg-query -W -f '${Version}\n' ganeti ceph-mon | cut -d . -f 1,2`, "18.2\n3.1")
	s.muted = "MGR_MODULE_DEPENDENCY" // most of the mgr's modules do not load with Python's packages there
	s.testGaneti()
}

func (s *site) testGaneti() {
	t := s.t
	s.ganeti()

	s.fails(1, `write "USER PASSWORD" into it`, "node", "list")
	run(t, s.master, "install -m 600 /dev/null /etc/cephctl.rapi; echo cephctl guess >/etc/cephctl.rapi")
	s.fails(1, "does not know this user or password", "node", "list")
	run(t, s.master, "echo cephctl password >/etc/cephctl.rapi")
	if r := s.cephctlOn(s.Node("node2"), nil, "node", "list"); r.code != 1 || !strings.Contains(r.stderr, "run this on node1.lab") {
		t.Errorf("on another node than the master: exit status %d: %s", r.code, r.stderr)
	}

	list := s.do("node", "list").stdout
	for _, node := range s.List() {
		if !strings.Contains(list, node.Name+".lab  default  "+node.Address+"  online") {
			t.Errorf("%s is not in the list:\n%s", node.Name, list)
		}
	}
	s.do("group", "add", "spare")
	s.do("node", "modify", "--offline=yes", "node2.lab")
	s.do("group", "assign-nodes", "spare", "node2.lab")
	expect(t, s.master, "gnt-node list --no-headers --separator=: -o name,group,offline", "node1.lab:default:N\nnode2.lab:spare:Y\nnode3.lab:default:N")
	s.do("group", "assign-nodes", "default", "node2.lab")
	s.do("node", "add", "--readd", "node2.lab")
	s.do("group", "remove", "spare")
	expect(t, s.master, "gnt-node list --no-headers --separator=: -o name,group,offline", "node1.lab:default:N\nnode2.lab:default:N\nnode3.lab:default:N")

	s.do("cluster", "init", "-S", "ceph:osd_backend=raw,size=2,osd_memory_target=2G,host_reserve=512M")
	s.do("cluster", "modify", "-S", "ceph:osd_memory_target=1G")
	for _, node := range s.List() {
		s.do("node", "modify", "-S", "ceph:disk="+s.disks[node.Name][0], node.Name+".lab")
	}
	init := []string{"storage", "init-distributed-storage", "-s", "ceph", "default"}
	s.do(init...)
	s.quiet()
	s.wantCluster(3, 3)
	s.nothingToDo(init...)
	expect(t, s.master, "gnt-node list --no-headers -o tags; gnt-group list-tags default",
		strings.TrimSuffix(strings.Repeat("distributed-storage:ceph\n", 4), "\n"))
	s.part("cluster modify -S", func() {
		s.refused([]string{"cluster-modify-initialised"}, "cluster", "modify", "-S", "ceph:mons=1")
	})
	s.part("init-distributed-storage of another group", func() {
		s.refused([]string{"other-storage-group"}, s.otherGroup()...)
		s.do("group", "remove", "other")
	})

	t.Run("instances", s.testGanetiInstances)
	t.Run("hooks", s.testHooks)
	t.Run("failover", s.testFailover)
}

// fails runs cephctl on the master, which has to fail with an exit code and these words.
func (s *site) fails(code int, words string, args ...string) {
	s.t.Helper()
	if r := s.cephctl(args...); r.code != code || !strings.Contains(r.stderr, words) {
		s.t.Errorf("cephctl %s: exit status %d, want %d and %q:\n%s%s", strings.Join(args, " "), r.code, code, words, r.stdout, r.stderr)
	}
}

// ganeti makes a Ganeti cluster of the nodes, which for Ganeti have a domain. Its user of the remote API is cephctl.
func (s *site) ganeti() {
	s.t.Helper()
	for _, node := range s.List() {
		// Ganeti's collection of host keys knows no Ed25519, and its new key of root is let in before it comes.
		run(s.t, node, `sed -i 's/^\([0-9.]*\) \(node[0-9]*\)$/\1 \2.lab \2/' /etc/hosts
			echo '`+s.clusterAddress()+` cluster.lab' >>/etc/hosts
			ip link add br0 type bridge
			mkdir -p /srv/ganeti/file-storage
			echo /srv/ganeti/file-storage >/etc/ganeti/file-storage-paths
			ssh-keygen -q -A && systemctl restart ssh`)
	}
	run(s.t, s.master, `gnt-cluster init --no-etc-hosts --master-netdev=eth0 --master-netmask=32 --enabled-hypervisors kvm \
		-H kvm:kernel_path=,kvm_flag=disabled,serial_console=false,kvm_path=/usr/bin/qemu-system-x86_64 \
		--nic-parameters mode=bridged,link=br0 --enabled-disk-templates rbd,file,diskless \
		--file-storage-dir /srv/ganeti/file-storage -D rbd:access=userspace,pool=rbd \
		--ipolicy-bounds-specs min:cpu-count=1,disk-count=0,disk-size=16,memory-size=16,nic-count=0,spindle-use=1/max:cpu-count=8,disk-count=16,disk-size=1048576,memory-size=32768,nic-count=8,spindle-use=12 \
		cluster.lab 2>&1
		echo cephctl password write >/tmp/users
		install -o gnt-rapi -g gnt-masterd -m 640 /tmp/users /var/lib/ganeti/rapi/users && rm /tmp/users
		systemctl restart ganeti`)
	key := run(s.t, s.master, "cat /root/.ssh/id_rsa.pub")
	for _, node := range s.List()[1:] {
		run(s.t, node, "echo '"+key+"' >>/root/.ssh/authorized_keys")
		run(s.t, s.master, "gnt-node add --no-ssh-key-check "+node.Name+".lab 2>&1")
	}
}

// clusterAddress is one that no node has: that of the network's nodes end with 11 and more.
func (s *site) clusterAddress() string {
	address := s.master.Address
	return address[:strings.LastIndex(address, ".")+1] + "9"
}
