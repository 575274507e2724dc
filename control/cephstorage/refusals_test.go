package cephstorage

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/transport"
)

const otherFSID = "11111111-2222-4333-8444-555555555555"

// refusal is a change that is refused, with what the cases and lines of its blockers are.
type refusal struct {
	cases string
	nodes int
	// made says that the cluster stands before.
	made   bool
	before func(s *sim)
	change func(s *sim) control.Change
	want   []string
}

// errShut is of a node that is up and lets nobody in.
var errShut error = &transport.Error{
	Node: "node2", Text: "node2 has refused the login as root", Cure: "authorise this host's key there: ssh-copy-id root@node2", Refused: true,
}

func initChange(s *sim) control.Change  { return s.init() }
func offline2(s *sim) control.Change    { return s.offline("node2") }
func removeDead2(s *sim) control.Change { return s.storage().RemoveDead("node2", "remove --dead") }

func addClient(s *sim) control.Change { return s.storage().AddClient("compute", "add-client") }

func removeClient(s *sim) control.Change { return s.storage().RemoveClient("compute", "remove-client") }

func poolOn(size int, nodes ...string) func(*sim) control.Change {
	return func(s *sim) control.Change {
		return s.storage().CreatePool("near", "create", PoolOptions{Size: size, Nodes: nodes})
	}
}

func down(name string) func(*sim) { return func(s *sim) { s.nodes[name].down = true } }

func disk(change func(d *simDisk)) func(*sim) {
	return func(s *sim) { change(s.nodes["node2"].Disks["/dev/sdb"]) }
}

func warn(name, severity, message string) func(*sim) {
	return func(s *sim) {
		c := check{Severity: severity}
		c.Summary.Message = message
		s.extra[name] = c
	}
}

const foreignConf = "/etc/ceph/ceph.conf belongs to another Ceph cluster (fsid " + otherFSID + "): nothing is overwritten; if that cluster is gone, move the file away; " +
	"if it is this one, of which the state was lost: cephctl storage restore"

var refusals = []refusal{
	{"node-unreachable", 3, false, down("node2"), initChange, []string{"node2: reach node2: unreachable"}},
	{"node-unreachable", 4, true, down("node2"), offline2, []string{"node2: reach node2: unreachable: if it is gone for good: cephctl node remove --dead node2"}},
	{"node-unreachable", 4, true, down("node3"), offline2, []string{"node3: reach node3: unreachable: every node that stays has to be seen first"}},
	{"node-unreachable", 3, true, down("node3"), func(s *sim) control.Change { return s.storage().Destroy(true, "destroy") }, []string{
		"node3: reach node3: unreachable: remove it first: cephctl node remove --dead node3",
	}},
	{"node-unreachable", 3, true, func(s *sim) {
		silent(s)
		down("node3")(s)
	}, func(s *sim) control.Change { return s.storage().Destroy(true, "destroy") }, []string{
		"node3: reach node3: unreachable: bring it back, or if it is gone for good: cephctl node remove --force node3",
	}},
	{"packages-missing", 3, false, func(s *sim) { delete(s.nodes["node2"].facts.Packages, "ceph-mgr") }, initChange, []string{
		"node2: Ceph's packages are not installed (ceph-mgr): apt-get install ceph-mgr",
	}},
	{"packages-missing", 3, false, func(s *sim) { delete(s.nodes["node2"].facts.Packages, "ceph-volume") }, initChange, []string{
		"node2: Ceph's packages are not installed (ceph-volume): apt-get install ceph-volume",
	}},
	{"packages-missing", 3, false, func(s *sim) {
		otherGroup(s)
		s.locked(func() error { return s.env.Inventory.AssignNodes(s.t.Context(), "other", "node1") })
		clear(s.nodes["node1"].facts.Packages)
	}, initChange, []string{"node1: Ceph's tools are not installed (ceph-common): apt-get install ceph-common"}},
	{"release-differs", 3, false, func(s *sim) { s.nodes["node1"].facts.Release = "18.2.7" }, initChange, []string{
		"node1: has Ceph 18.2.7, the other nodes have 16.2.15: install 16.2.15",
	}},
	{"foreign-conf", 3, false, func(s *sim) { s.nodes["node2"].Conf = "fsid = " + otherFSID }, initChange, []string{"node2: " + foreignConf}},
	{"foreign-conf", 3, false, func(s *sim) { s.nodes["node2"].Conf = "nothing" }, initChange, []string{
		"node2: /etc/ceph/ceph.conf is there and names no fsid, or can't be read: nothing is overwritten; if nobody needs it, move it away",
	}},
	{"foreign-conf", 3, false, foreignMaster, initChange, []string{"node1: " + foreignConf}},
	{"foreign-conf", 3, false, func(s *sim) { s.nodes["node1"].Conf = "fsid = " + otherFSID }, initChange, []string{"node1: " + foreignConf}},
	{"foreign-daemon", 3, false, func(s *sim) {
		s.nodes["node2"].run(node.Daemon{Role: "osd", ID: "4"}, otherFSID)
	}, initChange, []string{"node2: osd.4 is of another Ceph cluster (fsid " + otherFSID + "): remove it first"}},
	{"pool-node-without-osds", 3, true, func(s *sim) { s.newNode(4) }, poolOn(2, "node3", "node4"), []string{
		"node4: has no OSD, so that no pool can be kept on it: name nodes of the storage group, see \"cephctl storage status\"",
	}},
	{"no-storage-cluster", 1, false, nil, addClient, []string{
		"there is no storage cluster of cephctl's: make it: cephctl storage init-distributed-storage",
	}},
	{"client-is-storage-group", 3, true, nil, func(s *sim) control.Change { return s.storage().AddClient("default", "add-client") }, []string{
		"group default is the storage group: its nodes have all that clients have: name another group",
	}},
	{"foreign-conf packages-missing node-unreachable", 3, true, func(s *sim) {
		s.compute(4, 5, 6)
		s.nodes["node4"].Conf = "fsid = " + otherFSID
		delete(s.nodes["node5"].facts.Packages, "ceph-common")
		s.nodes["node6"].down = true
	}, addClient, []string{
		"node4: " + foreignConf, "node5: Ceph's tools are not installed (ceph-common): apt-get install ceph-common", "node6: reach node6: unreachable",
	}},
	{"client-is-storage-group", 3, true, nil, func(s *sim) control.Change { return s.storage().RemoveClient("default", "remove-client") }, []string{
		"group default is the storage group: its nodes need what clients have: name another group",
	}},
	{"client-has-instances client-has-images node-unreachable", 3, true, func(s *sim) {
		s.compute(4, 5, 6)
		s.must(addClient(s))
		s.addInstance("web1", "node4")
		s.nodes["node5"].mapped = []loopback.Mapping{
			{Device: "rbd0", Pool: "vms", Image: "disk0", FSID: s.fsid}, {Device: "rbd1", Pool: "vms", Image: "disk1", FSID: otherFSID}, {Device: "nbd0", Pool: "vms", Image: "disk2"},
		}
		s.nodes["node6"].down = true
	}, removeClient, []string{
		"node4: instances have disks in the storage cluster: web1: move them to other nodes, or remove them: cephctl instance list",
		"node5: images are mapped: vms/disk0 (/dev/rbd0), vms/disk2 (/dev/nbd0): unmap them: rbd device unmap, or what has mapped them",
		"node6: reach node6: unreachable: if it is gone for good: cephctl node remove node6",
	}},
	{"foreign-conf", 3, true, func(s *sim) {
		s.compute(4)
		s.must(addClient(s))
		s.spare()
		s.nodes["node5"].Conf = "fsid = " + otherFSID
	}, func(s *sim) control.Change { return s.storage().Assign("compute", []string{"node5"}, "assign") }, []string{"node5: " + foreignConf}},
	{"pool-too-few-osds", 3, true, nil, poolOn(3, "node1", "node2"), []string{
		"pool near is to keep 3 copies, and node1, node2 has 2 OSDs: name more nodes, or keep fewer copies: --size 2",
	}},
	{"pool-nodes-overlap", 3, true, func(s *sim) { s.must(poolOn(2, "node1", "node2")(s)) }, func(s *sim) control.Change {
		return s.storage().CreatePool("far", "create", PoolOptions{Size: 2, Nodes: []string{"node2", "node3"}})
	}, []string{"osd.1 belongs to pools that are kept on node1, node2: name the same nodes, or none of them"}},
	{"pool-exists", 3, true, func(s *sim) { s.must(poolOn(2, "node1", "node2")(s)) }, poolOn(2, "node2", "node3"), []string{
		"pool near exists already, and is kept on other nodes: remove it first, or make another",
	}},
	{"pool-exists", 3, true, nil, func(s *sim) control.Change {
		return s.storage().CreatePool("rbd", "create", PoolOptions{Size: 2})
	}, []string{"pool rbd exists already, with 3 copies: to change that: ceph osd pool set rbd size 2"}},
	{"pool-class-in-use", 3, true, func(s *sim) {
		s.rules = append(s.rules, simRule{ID: 7, Name: "slow", Domain: "host", Class: "hdd"})
	}, poolOn(2, "node1", "node2"), []string{
		"the rule slow chooses OSDs by their device class hdd, which osd.0 has: its data would move: use nodes whose OSDs no rule chooses by their class, or another rule for that data",
	}},
	{"no-device", 3, false, func(s *sim) { s.setCluster(OptionDisk) }, initChange, []string{
		"node1: no option names a device of this node: cephctl node modify -S ceph:disk=/dev/sdX node1",
		"node2: no option names a device of this node: cephctl node modify -S ceph:disk=/dev/sdX node2",
		"node3: no option names a device of this node: cephctl node modify -S ceph:disk=/dev/sdX node3",
	}},
	{"no-device", 3, true, func(s *sim) { s.setCluster(OptionDisk) }, func(s *sim) control.Change { return s.add(4) }, []string{
		"node1: no option names a device of this node: cephctl node modify -S ceph:disk=/dev/sdX node1",
		"node2: no option names a device of this node: cephctl node modify -S ceph:disk=/dev/sdX node2",
		"node3: no option names a device of this node: cephctl node modify -S ceph:disk=/dev/sdX node3",
		"node4: no option names a device of this node: cephctl node add -S ceph:disk=/dev/sdX node4",
	}},
	{"no-device", 4, true, func(s *sim) {
		delete(s.nodes["node2"].Daemons, "osd.1")
		s.nodes["node2"].Disks["/dev/sdb"].osd = nil
	}, func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "", "replace") }, []string{
		"node2: it is not known on which device osd.1 was: name it by --device",
	}},
	{"device-missing", 3, false, disk(func(d *simDisk) { d.missing = true }), initChange, []string{
		"node2: /dev/sdb does not exist: name the devices of this node: cephctl node modify -S ceph:disk=/dev/sdX node2",
	}},
	{"device-missing", 4, true, nil, func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "/dev/sdx", "replace") }, []string{
		"node2: /dev/sdx does not exist: name a device of this node by --device",
	}},
	{"device-in-use", 3, false, disk(func(d *simDisk) { d.content = "ext4 file system" }), initChange, []string{
		"node2: /dev/sdb is not empty: ext4 file system: if nothing on it is needed, wipe it: wipefs -a /dev/sdb",
	}},
	{"device-in-use", 3, false, disk(func(d *simDisk) { d.content, d.wipe = "volume group data", "vgremove data && pvremove /dev/sdb" }), initChange, []string{
		"node2: /dev/sdb is not empty: volume group data: if nothing on it is needed, wipe it: vgremove data && pvremove /dev/sdb",
	}},
	{
		"device-in-use", 4, true, disk(func(d *simDisk) { d.osd, d.content = nil, "ext4 file system" }),
		func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "", "replace") },
		[]string{
			"node2: /dev/sdb is not empty: ext4 file system: if nothing on it is needed, wipe it: wipefs -a /dev/sdb",
		},
	},
	{"device-twice", 1, false, func(s *sim) {
		s.setCluster(OptionDisk, "/dev/sdb", "/dev/sdc")
		s.nodes["node1"].Disks["/dev/sdb"].stable, s.nodes["node1"].Disks["/dev/sdc"].stable = "/dev/disk/by-id/x", "/dev/disk/by-id/x"
	}, initChange, []string{"node1: /dev/sdc is named twice: name each disk once"}},
	{"device-foreign-osd", 3, false, disk(func(d *simDisk) { d.osd = &node.DeviceOSD{ID: 4, UUID: "u", FSID: otherFSID} }), initChange, []string{
		"node2: /dev/sdb holds osd.4 of another Ceph cluster (fsid " + otherFSID + "): if nothing on it is needed, wipe it: wipefs -a /dev/sdb",
	}},
	{"device-old-osd", 3, false, disk(func(d *simDisk) { d.osd = &node.DeviceOSD{ID: 4, UUID: "u"} }), initChange, []string{
		"node2: /dev/sdb holds an OSD (u) that the cluster does not know: if nothing on it is needed, wipe it: wipefs -a /dev/sdb",
	}},
	{"var-full", 1, false, func(s *sim) { s.nodes["node1"].facts.VarFreeBytes = 60 << 20 }, initChange, []string{
		"node1: only 60 MiB are free below /var/lib/ceph: make room: mons and OSDs keep their data there",
	}},
	{"memory", 1, false, func(s *sim) { s.nodes["node1"].facts.MemoryBytes = 5 << 30 }, initChange, []string{
		"node1: 1 OSDs × 4.0 GiB + instances 0.0 GiB + host 2.0 GiB = 6.0 GiB, and it has 5.0 GiB: lower osd_memory_target or host_reserve, or take disks or instances away",
	}},
	{"no-address", 1, false, func(s *sim) { s.setCluster(OptionPublicNetwork, "10.9.0.0/24") }, initChange, []string{
		"node1: has no address in 10.9.0.0/24: set it by public_network of -S, or give the node its IP address",
	}},
	{"no-address", 2, false, func(s *sim) { s.setCluster(OptionClusterNetwork, "10.0.0.2/32") }, initChange, []string{
		"node1: has no address in 10.0.0.2/32: set it by cluster_network of -S, or give the node an address there",
	}},
	{"clock-skew", 3, false, func(s *sim) { s.nodes["node2"].skew = -time.Hour }, initChange, []string{
		"node2: its clock is off by 1h0m0s: set it, for example with chrony: mons need clocks that agree",
	}},
	{"same-host", 2, false, func(s *sim) { s.nodes["node2"].Host = "node1" }, initChange, []string{
		"node2: has the host name node1, like node1: give each node a host name of its own",
	}},
	{"unknown-group", 1, false, nil, func(s *sim) control.Change { return s.storage().Init("nowhere", "init") }, []string{
		`there is no group nowhere: see "cephctl group list"`,
	}},
	{"other-storage-group", 1, true, otherGroup, func(s *sim) control.Change { return s.storage().Init("other", "init") }, []string{
		"group default is the storage group already: there is one storage group in a cluster",
	}},
	{"other-storage-group", 1, false, func(s *sim) {
		otherGroup(s)
		s.setState(func(st *state.Storage) { st.Group, st.ID = "default", otherFSID })
	}, func(s *sim) control.Change { return s.storage().Init("other", "init") }, []string{
		"making the storage cluster was begun with group default: finish that, or take down what was made: cephctl storage destroy",
	}},
	{"no-answer", 1, true, silent, initChange, []string{
		`node1: the Ceph cluster does not answer: run ceph: exit status 1: timed out: see "cephctl storage status"`,
	}},
	{"no-answer", 1, true, silent, func(s *sim) control.Change { return s.storage().Destroy(false, "destroy") }, []string{
		"can't tell whether images exist: run ceph: exit status 1: timed out: if its data is to be given up: --force",
	}},
	{"no-answer", 1, true, silent, func(s *sim) control.Change { return s.storage().RemovePool("rbd", "remove") }, []string{
		`node1: the Ceph cluster does not answer: run ceph: exit status 1: timed out: see "cephctl storage status"`,
	}},
	{"no-answer", 1, true, fails("rbd"), func(s *sim) control.Change { return s.storage().Destroy(false, "destroy") }, []string{
		"can't list the images of pool rbd: run ceph: exit status 1: timed out: if its data is to be given up: --force",
	}},
	{"no-answer", 4, true, fails("osd df"), offline2, []string{
		"can't tell whether the data fits: run ceph: exit status 1: timed out: see whether a mgr is active",
	}},
	{"no-answer", 3, true, func(s *sim) {
		silent(s)
		down("node3")(s)
		s.locked(func() error { return s.env.Inventory.MarkNode(s.t.Context(), "node3", "") }) // its mark is lost
	}, func(s *sim) control.Change { return s.storage().RemoveNode("node3", "remove", RemoveOptions{}) }, []string{
		"node3: is in the storage group, and neither it nor the Ceph cluster tells what it carries: run ceph: exit status 1: timed out: " +
			"bring one of them back, or if it is gone for good: cephctl node remove --force node3",
	}},
	{"master-stays", 4, true, func(s *sim) { s.env.Inventory = adminClients{s.env.Inventory} }, func(s *sim) control.Change { return s.offline("node1") }, []string{
		"node1: is the master, which can't go offline: on another node, gnt-cluster master-failover, and then this",
	}},
	{"last-node", 1, true, nil, func(s *sim) control.Change { return s.offline("node1") }, []string{
		"node1: is the last node of the storage cluster: to give the whole storage cluster up: cephctl storage destroy",
	}},
	{"health", 4, true, warn("OSD_FULL", "HEALTH_ERR", "1 full osd(s)"), offline2, []string{
		`the cluster is not well: OSD_FULL (1 full osd(s)): see "ceph health detail", and cure that first`,
	}},
	{"health", 4, true, warn("MON_CLOCK_SKEW", "HEALTH_WARN", "clock skew"), offline2, []string{
		`the cluster is not well: MON_CLOCK_SKEW (clock skew): see "ceph health detail", and cure that first`,
	}},
	{"health", 4, true, warn("POOL_APP_NOT_ENABLED", "HEALTH_ERR", "benign by name only"), offline2, []string{
		`the cluster is not well: POOL_APP_NOT_ENABLED (benign by name only): see "ceph health detail", and cure that first`,
	}},
	{"health", 4, true, func(s *sim) { s.flags = []string{"noout", "norebalance"} }, offline2, []string{
		"somebody has set norebalance: nothing can be taken away: ceph osd unset norebalance, if nobody needs it any more",
	}},
	{"health", 4, true, warn("OSD_FULL", "HEALTH_ERR", "1 full osd(s)"), func(s *sim) control.Change {
		return s.storage().ReplaceOSD(1, "/dev/sdc", "replace")
	}, []string{`the cluster is not well: OSD_FULL (1 full osd(s)): see "ceph health detail", and cure that first`}},
	{"health mon-majority", 3, true, func(s *sim) { s.nodes["node3"].Daemons["mon.node3"].Active = false }, offlineNoDrain2, []string{
		`the cluster is not well: MON_DOWN (a mon is not in quorum): see "ceph health detail", and cure that first`,
		"node2: without mon.node2, only 1 of the 2 other mons are in quorum: bring the other mons back first",
	}},
	{"ok-to-stop", 4, true, func(s *sim) {
		s.pools[0].MinSize = 3
	}, offlineNoDrain2, []string{
		"node2: its OSDs can't be stopped together: unsafe to stop osd(s) at this time (8 PGs are or would become offline): wait until all placement groups are active and clean",
	}},
	{"ok-to-stop", 4, true, func(s *sim) {
		s.intercept = func(line string) (string, error, bool) {
			return "", failure(11, "Error EAGAIN: 32 pgs have unknown state; cannot draw any conclusions"), strings.HasPrefix(line, "osd ok-to-stop")
		}
	}, offline2, []string{
		"node2: its OSDs can't be stopped together: 32 pgs have unknown state; cannot draw any conclusions: wait until all placement groups are active and clean",
	}},
	{"cannot-drain", 3, true, nil, offline2, []string{
		"node2: its data has nowhere to go: pool rbd keeps 3 copies and 2 hosts would be left: add a node first, or stop its OSDs and keep their data: --no-drain",
	}},
	{"cannot-drain", 3, true, nil, func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "/dev/sdc", "replace") }, []string{
		"node2: osd.1 is up and its data has nowhere to go: pool rbd keeps 3 copies and 2 hosts would be left: stop it first if its disk is really broken: systemctl stop ceph-osd@1",
	}},
	{"no-space", 4, true, func(s *sim) { s.full = 0.7 }, offline2, []string{"node2: the OSDs that stay would be 93 % full: add OSDs first"}},
	{"node-answers", 4, true, nil, removeDead2, []string{"node2: is not dead: its agent answers: cephctl node modify --offline=yes node2"}},
	{"node-answers", 4, true, func(s *sim) { s.nodes["node2"].broken = errors.New("another version of cephctl") }, removeDead2, []string{
		"node2: is not dead: it answers with an error: another version of cephctl: cure that, or switch it off for good",
	}},
	{"node-answers", 4, false, func(s *sim) { // also where the cluster has lost all of it
		deadNode2(s)
		s.nodes["node2"].broken = errShut
	}, removeDead2, []string{
		"node2: is not dead: it answers with an error: reach node2: node2 has refused the login as root: authorise this host's key there: ssh-copy-id root@node2: cure that, or switch it off for good",
	}},
	{"node-unreachable", 4, true, func(s *sim) { s.nodes["node2"].broken = errShut }, offline2, []string{
		"node2: reach node2: node2 has refused the login as root: authorise this host's key there: ssh-copy-id root@node2",
	}},
	{"node-answers node-is-master", 4, true, nil, func(s *sim) control.Change { return s.storage().RemoveDead("node1", "remove") }, []string{
		"node1: is not dead: its agent answers: cephctl node modify --offline=yes node1",
		"node1: is the node that this runs on: run this on another node",
	}},
	{"daemons-up", 4, true, func(s *sim) {
		s.nodes["node2"].broken = control.ErrUnreachable
	}, removeDead2, []string{
		"node2: does not answer, but is not dead: mon.node2 is in quorum, osd.1 is up, mgr.node2 is in the mgr map: wait a minute if it died just now; else it can be reached by the other nodes: cephctl node modify --offline=yes node2",
	}},
	{"node-in-storage", 3, true, nil, func(s *sim) control.Change { return s.storage().RemoveNode("node3", "remove", RemoveOptions{}) }, []string{
		"node3: is part of distributed storage: it carries mon.node3, osd.2: mark it offline first: cephctl node modify --offline=yes node3",
	}},
	{"node-in-storage", 3, true, func(s *sim) { s.must(keepOffline(s)) }, func(s *sim) control.Change {
		return s.storage().RemoveNode("node3", "remove", RemoveOptions{})
	}, []string{"node3: is part of distributed storage: it carries osd.2: it is offline, and its data has to move first: cephctl node modify --offline=yes node3"}},
	{"assign-online assign-carries", 3, true, func(s *sim) {
		otherGroup(s)
		s.newNode(4)
		s.locked(func() error { return s.env.Inventory.AssignNodes(s.t.Context(), "other", "node4") })
		s.locked(func() error { return s.env.Inventory.MarkGroup(s.t.Context(), "other", Name) })
	}, func(s *sim) control.Change { return s.storage().Assign("other", []string{"node3"}, "assign") }, []string{
		"node3: only an offline node can be assigned to the storage group other: cephctl node modify --offline=yes node3, then assign it, then cephctl node add --readd node3",
		"node3: can't leave the storage group default: it carries mon.node3, osd.2: take it offline first: cephctl node modify --offline=yes node3",
	}},
	{"node-is-master", 3, false, down("node1"), func(s *sim) control.Change { return s.storage().RemoveDead("node1", "remove --dead") }, []string{
		"node1: is the node that this runs on: run this on another node",
	}},
	{"assign-online", 3, true, func(s *sim) {
		otherGroup(s)
		s.hardware(4)
		n := s.inventoryNode(4)
		n.Group = "other"
		s.locked(func() error { return s.env.Inventory.AddNode(s.t.Context(), n) })
	}, func(s *sim) control.Change { return s.storage().Assign("default", []string{"node4"}, "assign") }, []string{
		"node4: only an offline node can be assigned to the storage group default: " +
			"cephctl node modify --offline=yes node4, then assign it, then cephctl node add --readd node4",
	}},
	{"assign-carries", 3, true, otherGroup, func(s *sim) control.Change { return s.storage().Assign("other", []string{"node3"}, "assign") }, []string{
		"node3: can't leave the storage group default: it carries mon.node3, osd.2: take it offline first: cephctl node modify --offline=yes node3",
	}},
	{"node-exists", 3, true, nil, func(s *sim) control.Change { return s.add(3) }, []string{
		"node3: is in the inventory already: to bring it back: cephctl node add --readd node3",
	}},
	{"node-is-master", 3, false, nil, func(s *sim) control.Change { return s.storage().RemoveNode("node1", "remove", RemoveOptions{}) }, []string{
		"node1: is the node that this runs on: run this on another node",
	}},
	{"unknown-osd", 3, true, nil, func(s *sim) control.Change { return s.storage().ReplaceOSD(9, "", "replace") }, []string{
		`no online node of the storage group carries osd.9: see "cephctl storage status"`,
	}},
	{"pool-has-images", 3, true, images, func(s *sim) control.Change { return s.storage().RemovePool("rbd", "remove") }, []string{
		"pool rbd holds 2 images (a, b): remove them first: rbd rm rbd/IMAGE",
	}},
	{"pool-has-images", 3, true, hiddenImages, func(s *sim) control.Change { return s.storage().RemovePool("rbd", "remove") }, []string{
		"pool rbd holds 2 images (a in the trash, n/b): remove them first: rbd rm rbd/IMAGE, and rbd trash purge rbd",
	}},
	{"pool-has-images", 3, true, images, func(s *sim) control.Change { return s.storage().Destroy(false, "destroy") }, []string{
		"pool rbd holds 2 images (a, b): remove them first, or give them up: --force",
	}},
	{"pool-not-rbd", 3, true, func(s *sim) { s.pools[0].Apps = []string{"cephfs"} }, func(s *sim) control.Change {
		return s.storage().RemovePool("rbd", "remove")
	}, []string{"pool rbd is not one for RBD images: remove it with Ceph's own commands if that is right"}},
	{"pool-not-rbd", 3, true, func(s *sim) { s.pools[0].Apps = []string{"cephfs"} }, func(s *sim) control.Change {
		return s.storage().Destroy(false, "destroy")
	}, []string{"pool rbd is not one for RBD images, and may hold data: if its data is to be given up: --force"}},
	{"operation-pending", 3, false, func(s *sim) {
		s.locked(func() error {
			return s.store.Update(func(st *state.State) error {
				st.Operation = &state.Operation{Kind: "offline", Target: "node2", Command: "cephctl node modify", By: "root@node1", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)}
				return nil
			})
		})
	}, initChange, []string{
		`another operation of root@node1 was begun at 2026-01-02 03:04:05 and not finished: finish it with "cephctl node modify", or give it up with "cephctl storage cancel"`,
	}},
	{"options", 2, false, func(s *sim) { s.setNode("node2", OptionOSDMemoryTarget, "much") }, initChange, []string{
		"node2: storage option osd_memory_target=much: want a number of bytes with K, M, G or T, for example 4G",
	}},
	// Several at once, of several nodes.
	{"node-unreachable packages-missing device-in-use", 3, false, func(s *sim) {
		s.nodes["node1"].down = true
		clear(s.nodes["node2"].facts.Packages)
		s.nodes["node3"].Disks["/dev/sdb"].content = "LVM"
	}, initChange, []string{
		"node1: reach node1: unreachable",
		"node2: Ceph's packages are not installed (ceph-mon, ceph-mgr, ceph-osd, ceph-common, ceph-volume): apt-get install ceph-mon ceph-mgr ceph-osd ceph-common ceph-volume",
		"node3: /dev/sdb is not empty: LVM: if nothing on it is needed, wipe it: wipefs -a /dev/sdb",
	}},
	{"cannot-drain ok-to-stop", 4, true, func(s *sim) { s.must(poolOn(2, "node1", "node2")(s)) }, offline2, []string{
		"node2: its data has nowhere to go: pool near keeps 2 copies and 1 hosts would be left: add a node first, or stop its OSDs and keep their data: --no-drain",
		"node2: its OSDs can't be stopped together: unsafe to stop osd(s) at this time (8 PGs are or would become offline): wait until all placement groups are active and clean",
	}},
}

func offlineNoDrain2(s *sim) control.Change {
	return s.storage().Offline("node2", "offline", OfflineOptions{NoDrain: true})
}

func images(s *sim) { s.images["rbd"] = []string{"a", "b"} }

func hiddenImages(s *sim) { s.images["rbd trash"], s.images["rbd/n"] = []string{"a"}, []string{"b"} }

func otherGroup(s *sim) {
	s.locked(func() error { return s.env.Inventory.AddGroup(s.t.Context(), "other") })
}

// foreignMaster makes node1 a master outside the group with a ceph.conf of another cluster, whose mons are silent.
func foreignMaster(s *sim) {
	otherGroup(s)
	s.locked(func() error { return s.env.Inventory.AssignNodes(s.t.Context(), "other", "node1") })
	if err := s.put(s.nodes["node1"], "ceph.conf", "fsid = "+otherFSID); err != nil {
		s.t.Fatal(err)
	}
}

func silent(s *sim) { fails("")(s) }

// fails makes commands fail that begin with these words.
func fails(begin string) func(*sim) {
	return func(s *sim) {
		s.intercept = func(line string) (string, error, bool) {
			return "", failure(1, "timed out"), strings.HasPrefix(line, begin)
		}
	}
}

func (s *sim) setState(change func(*state.Storage)) {
	s.locked(func() error {
		return s.store.Update(func(st *state.State) error {
			change(st.Storage[Name])
			return nil
		})
	})
}

func (s *sim) setCluster(option string, values ...string) {
	s.setState(func(st *state.Storage) { st.Options[option] = values })
}

func (r *refusal) prepare(t *testing.T) *sim {
	s := newSim(t, r.nodes, nil)
	if r.made {
		s.must(s.init())
	}
	if r.before != nil {
		r.before(s)
	}
	s.revive()
	return s
}

func TestRefusals(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.cases, func(t *testing.T) {
			s := r.prepare(t)
			change := r.change(s)
			before := s.snapshot()
			serial := s.load().Serial
			preview, err := s.env.Preview(t.Context(), change)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := s.try(change)
			if !errors.Is(err, control.ErrBlocked) {
				t.Fatalf("want it refused, got %v", err)
			}
			var lines, cases []string
			for _, b := range plan.Blockers {
				lines, cases = append(lines, b.String()), append(cases, b.Case)
			}
			equal(t, "lines", r.want, lines)
			equal(t, "cases", r.cases, strings.Join(slices.Compact(cases), " "))
			equal(t, "blockers of the preview", plan.Blockers, preview.Blockers)
			if diff := cmp.Diff(before, s.snapshot(), sameModel); diff != "" || s.changes > 0 || s.load().Serial != serial {
				t.Errorf("it has changed something (-before +after):\n%s", diff)
			}
		})
	}
}

// blockCall finds the cases that the package's source can refuse with.
var blockCall = regexp.MustCompile(`Block\([^"]*?(?:"",)?[^"]*?"([a-z][a-z-]*)"|return "(device-[a-z-]+)"`)

// TestEveryRefusal wants a row for every case in the source.
func TestEveryRefusal(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, r := range refusals {
		for kind := range strings.FieldsSeq(r.cases) {
			rows[kind] = true
		}
	}
	found := 0
	for _, file := range append(files, "../change.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range blockCall.FindAllStringSubmatch(string(source), -1) {
			if found++; !rows[m[1]+m[2]] {
				t.Errorf("%s: no row for the refusal %q", file, m[1]+m[2])
			}
		}
	}
	if found < len(rows) {
		t.Errorf("found %d refusals in the source and has rows for %d cases: the pattern is wrong", found, len(rows))
	}
}
