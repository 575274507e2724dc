package cephstorage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

func TestPools(t *testing.T) {
	s := grown(t, 3)
	s.must(s.storage().CreatePool("two", "create", PoolOptions{Size: 2}))
	s.nothing(s.storage().CreatePool("two", "create", PoolOptions{Size: 2}))
	s.nothing(s.storage().CreatePool("two", "create", PoolOptions{}))
	pools, err := s.storage().Pools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "pools", []Pool{
		{Name: "rbd", Size: 3, MinSize: 2, Rule: hostRule, Domain: "host", RBD: true, Hosts: []string{"node1", "node2", "node3"}},
		{Name: "two", Size: 2, MinSize: 2, Rule: hostRule, Domain: "host", RBD: true, Hosts: []string{"node1", "node2", "node3"}},
	}, pools)
	for change, want := range map[*control.Change]error{
		new(s.storage().CreatePool("one", "create", PoolOptions{Size: 1})):  control.ErrUsage,
		new(s.storage().CreatePool("one", "create", PoolOptions{Size: -2})): control.ErrUsage,
		new(s.storage().CreatePool("one", "create", PoolOptions{Size: 11})): control.ErrUsage,
		new(s.storage().CreatePool("a b", "create", PoolOptions{})):         control.ErrUsage,
		new(s.storage().RemovePool("none", "remove")):                       control.ErrUsage,
	} {
		if _, err := s.try(*change); !errors.Is(err, want) {
			t.Errorf("%s %s: want %v, got %v", change.Kind, change.Target, want, err)
		}
	}
	s.must(s.storage().RemovePool("two", "remove"))
	equal(t, "pools left", 1, len(s.pools))
	equal(t, "removal of pools", "", s.config["mon "+allowDelete])
}

// Pools on some nodes share a device class where the nodes are the same; it goes with the last of them.
func TestPoolOnNodes(t *testing.T) {
	s := grown(t, 4)
	on := func(pool string, size int, nodes ...string) control.Change {
		return s.storage().CreatePool(pool, "create", PoolOptions{Size: size, Nodes: nodes})
	}
	s.must(on("near", 2, "node2", "node1"))
	s.nothing(on("near", 2, "node1", "node2"))
	s.must(on("nearer", 2, "node1", "node2"))
	s.osds[1].Class = "hdd"
	s.must(on("nearest", 2, "node1", "node2"))
	s.must(s.storage().RemovePool("nearest", "remove"))
	s.must(on("far", 2, "node3", "node4"))
	if plan := s.must(on("all", 3, "node1", "node2", "node3", "node4")); len(plan.Notes) != 1 || len(plan.Steps) != 2 {
		t.Errorf("on all nodes: %q, notes %q", titles(plan), plan.Notes)
	}
	if _, err := s.try(on("new", 2, "node9")); !errors.Is(err, control.ErrUnknown) {
		t.Errorf("on a node that there is not: %v", err)
	}
	classes := func() []string {
		var all []string
		for _, o := range s.osds {
			all = append(all, o.Class)
		}
		return all
	}
	equal(t, "classes", []string{"on-near", "on-near", "on-far", "on-far"}, classes())
	equal(t, "what is remembered", map[string][]string{
		"near": {"node1", "node2"}, "nearer": {"node1", "node2"}, "far": {"node3", "node4"},
	}, s.load().Storage[Name].Pools)
	pools, err := s.storage().Pools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what instances may do", "mon profile rbd mgr profile rbd pool=rbd, profile rbd pool=near, profile rbd pool=nearer, profile rbd pool=far, profile rbd pool=all "+
		"osd profile rbd pool=rbd, profile rbd pool=near, profile rbd pool=nearer, profile rbd pool=far, profile rbd pool=all", s.keys[instanceEntity])
	equal(t, "hosts of nearer", Pool{Name: "nearer", Size: 2, MinSize: 2, Rule: "on-nearer", Domain: "host", RBD: true, Hosts: []string{"node1", "node2"}}, pools[2])
	s.must(s.storage().RemovePool("near", "remove"))
	equal(t, "classes with one pool less", []string{"on-near", "on-near", "on-far", "on-far"}, classes())
	s.must(s.storage().RemovePool("nearer", "remove"))
	equal(t, "classes with two pools less", []string{"hdd", "hdd", "on-far", "on-far"}, classes())
	if len(s.rules) != 2 || len(s.load().Storage[Name].Pools) != 1 {
		t.Errorf("rules %v, remembered %v", s.rules, s.load().Storage[Name].Pools)
	}
	s.must(s.storage().RemovePool("all", "remove"))
	equal(t, "what instances may do with three pools less", "mon profile rbd mgr profile rbd pool=rbd, profile rbd pool=far osd profile rbd pool=rbd, profile rbd pool=far", s.keys[instanceEntity])
	delete(s.nodes["node2"].Keyrings, keyringFile(instanceEntity))
	s.must(s.init())
	s.nothing(s.init())
	s.osds[2].Class = "hdd"
	if plan := s.must(s.init()); len(plan.Steps) != 1 || s.osds[2].Class != "on-far" {
		t.Errorf("an OSD that has lost its class: %q, class %s", titles(plan), s.osds[2].Class)
	}
}

// A group stands for its online nodes: those of the storage group are all that have OSDs, unless somebody has more.
func TestPoolOnGroup(t *testing.T) {
	s := grown(t, 3)
	on := func(group string) control.Change {
		return s.storage().CreatePool("near", "create", PoolOptions{Size: 2, Group: group})
	}
	if _, err := s.try(on("none")); !errors.Is(err, control.ErrUnknown) {
		t.Errorf("of a group that there is not: %v", err)
	}
	if _, err := s.try(on("compute")); !errors.Is(err, control.ErrUsage) {
		t.Errorf("of a group without nodes: %v", err)
	}
	s.hosts = append(s.hosts, "foreign")
	s.osds = append(s.osds, &simOSD{ID: 9, UUID: "u", Host: "foreign", Class: "hdd"})
	s.must(on("default"))
	equal(t, "nodes of the pool", []string{"node1", "node2", "node3"}, s.load().Storage[Name].Pools["near"])
	equal(t, "classes", []string{"on-near", "hdd"}, []string{s.osd(0).Class, s.osd(9).Class})
}

// Clients get ceph.conf and the keys of instances and the exporter, and run nothing; verify finds those that do not have them.
func TestAddClient(t *testing.T) {
	s := grown(t, 3)
	s.compute(4, 5)
	s.setOffline("node5")
	if plan := s.must(addClient(s)); len(plan.Notes) != 1 {
		t.Errorf("notes %q", plan.Notes)
	}
	s.nothing(addClient(s))
	n := s.nodes["node4"]
	if len(n.Keyrings) != 2 || n.Keyrings["ceph.client.ceph-ganeti-exporter.keyring"] == "" || !strings.Contains(n.Keyrings["ceph.client.instances.keyring"], "client.instances") || len(n.Daemons) > 0 || !strings.Contains(n.Conf, s.fsid) {
		t.Errorf("node4 has keyrings %v, daemons %v, and ceph.conf %s", n.Keyrings, n.Daemons, n.Conf)
	}
	equal(t, "clients", []string{"compute"}, s.load().Storage[Name].Clients)
	if status, err := s.storage().Status(t.Context()); err != nil || len(status.Clients) != 1 {
		t.Errorf("status %+v, %v", status, err)
	}
	found := func() []string {
		all, err := s.storage().Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range all {
			lines = append(lines, f.Severity+" "+f.Node+": "+f.Text+": "+f.Cure)
		}
		return lines
	}
	equal(t, "found", nil, found())
	s.locked(func() error { return s.env.Inventory.SetOffline(t.Context(), "node5", false) })
	s.compute(6)
	s.nodes["node6"].Conf = "fsid = " + otherFSID
	delete(n.Keyrings, "ceph.client.instances.keyring")
	equal(t, "found", []string{
		"warning node4: is in the client group compute, and its ceph.conf or a keyring is not as it should be: cephctl storage add-client compute",
		"error node5: is in the client group compute and has no /etc/ceph/ceph.conf: cephctl storage add-client compute",
		"error node6: is in the client group compute, and its /etc/ceph/ceph.conf is of another cluster (fsid " + otherFSID + "): " +
			"nothing is overwritten; if that cluster is gone, move the file away, then cephctl storage add-client compute",
	}, found())
	s.nodes["node6"].Conf = ""
	s.must(addClient(s))
	equal(t, "found", nil, found())
	if _, err := s.try(s.storage().AddClient("none", "add-client")); !errors.Is(err, control.ErrUnknown) {
		t.Errorf("of a group that there is not: %v", err)
	}
}

// What add-client has given is taken away again, and nothing of who stays: the master, another group, a node that is off.
func TestRemoveClient(t *testing.T) {
	s := grown(t, 3)
	s.compute(4, 5, 6)
	s.must(addClient(s))
	s.setOffline("node5")
	s.nodes["node5"].down = true
	s.setOffline("node6")
	if plan := s.must(removeClient(s)); len(plan.Notes) != 1 || len(plan.Steps) != 3 {
		t.Errorf("notes %q, steps %q", plan.Notes, titles(plan))
	}
	s.nothing(removeClient(s))
	for name, want := range map[string]int{"node1": 3, "node3": 2, "node4": 0, "node5": 2, "node6": 0} {
		if n := s.nodes[name]; len(n.Keyrings) != want || (n.Conf != "") != (want > 0) {
			t.Errorf("%s has keyrings %v and ceph.conf %q", name, n.Keyrings, n.Conf)
		}
	}
	equal(t, "clients", 0, len(s.load().Storage[Name].Clients))
	if _, err := s.try(s.storage().RemoveClient("none", "remove-client")); !errors.Is(err, control.ErrUnknown) {
		t.Errorf("of a group that there is not: %v", err)
	}
	s.must(addClient(s))
	s.locked(func() error { return s.env.Inventory.AddGroup(t.Context(), "spare") })
	if plan := s.must(s.storage().Assign("spare", []string{"node4"}, "assign")); len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "node4 keeps ceph.conf") {
		t.Errorf("who leaves the group: notes %q", plan.Notes)
	}
	s.must(removeClient(s))
	s.locked(func() error { return s.env.Inventory.AssignNodes(t.Context(), "compute", "node1") })
	s.must(addClient(s))
	if plan := s.must(removeClient(s)); !strings.Contains(strings.Join(plan.Notes, "\n"), "node1 is the master") || s.nodes["node1"].Conf == "" {
		t.Errorf("the master in the group: notes %q, ceph.conf %q", plan.Notes, s.nodes["node1"].Conf)
	}
}

// A node becomes a client as it comes into a group of clients, however it comes.
func TestComesToClients(t *testing.T) {
	for name, come := range map[string]func(t *testing.T, s *sim){
		"added": func(_ *testing.T, s *sim) { s.must(addToClients(s)) },
		"assigned": func(_ *testing.T, s *sim) {
			s.spare()
			s.must(s.storage().Assign("compute", []string{"node5"}, "assign"))
		},
		"assigned offline": func(t *testing.T, s *sim) {
			t.Helper()
			s.spare()
			s.setOffline("node5")
			s.must(s.storage().Assign("compute", []string{"node5"}, "assign"))
			equal(t, "ceph.conf of who is offline", "", s.nodes["node5"].Conf)
			s.must(s.readd("node5"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := grown(t, 3)
			s.compute(4)
			s.must(addClient(s))
			come(t, s)
			cluster, err := s.env.Inventory.Cluster(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n, _ := cluster.Node("node5")
			equal(t, "node5", control.Node{Name: "node5", Address: "10.0.0.5", Group: "compute"}, n)
			equal(t, "ceph.conf", s.nodes["node4"].Conf, s.nodes["node5"].Conf)
			equal(t, "keyrings", s.nodes["node4"].Keyrings, s.nodes["node5"].Keyrings)
			s.nothing(addClient(s))
		})
	}
}

// TestPoolDeleteAllowed leaves the option as somebody else has set it.
func TestPoolDeleteAllowed(t *testing.T) {
	s := grown(t, 3)
	s.config["mon "+allowDelete] = "true"
	s.must(s.storage().RemovePool("rbd", "remove"))
	equal(t, "removal of pools", "true", s.config["mon "+allowDelete])
}

// TestPoolFilled refuses when an image comes between plan and step.
func TestPoolFilled(t *testing.T) {
	s := grown(t, 3)
	s.env.Points = func(string, string) { s.images["rbd"] = []string{"late"} }
	if _, err := s.try(s.storage().RemovePool("rbd", "remove")); !errors.Is(err, control.ErrBlocked) {
		t.Errorf("want it refused, got %v", err)
	}
	equal(t, "pools left", 1, len(s.pools))
}

func TestStatus(t *testing.T) {
	s := newSim(t, 3, nil)
	status, err := s.storage().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "of nothing", &Status{Daemons: []DaemonStatus{}}, status)
	s.must(s.init())
	s.nodes["node3"].Daemons["osd.2"].Active = false
	status, err = s.storage().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "daemons", []DaemonStatus{
		{"node1", "mgr", "mgr.node1", "", "active"},
		{"node1", "mon", "mon.node1", "", "in quorum"},
		{"node1", "osd", "osd.0", "/dev/sdb", "up, in"},
		{"node2", "mgr", "mgr.node2", "", "standby"},
		{"node2", "mon", "mon.node2", "", "in quorum"},
		{"node2", "osd", "osd.1", "/dev/sdb", "up, in"},
		{"node3", "mon", "mon.node3", "", "in quorum"},
		{"node3", "osd", "osd.2", "/dev/sdb", "inactive"},
	}, status.Daemons)
	equal(t, "health", "HEALTH_WARN", status.Health)
	if !slices.Contains(status.Next, "node3: start osd.2") {
		t.Errorf("next: %q", status.Next)
	}
	s.nodes["node2"].Daemons["mgr.node2"].Active = true
	s.intercept = func(line string) (string, error, bool) {
		return `{"active_name":"node1","available":true}`, nil, line == "mgr dump"
	}
	status, err = s.storage().Status(t.Context())
	if err != nil || !slices.Contains(status.Daemons, DaemonStatus{"node2", "mgr", "mgr.node2", "", "not in the map"}) {
		t.Errorf("of a mgr that the cluster does not know: %+v, %v", status, err)
	}
	s.intercept = nil
	s.nodes["node2"].down = true
	fails("")(s)
	if status, err = s.storage().Status(t.Context()); err != nil || status.Problem == "" || status.Health != "" {
		t.Errorf("of a silent cluster: %+v, %v", status, err)
	}
}

func TestVerify(t *testing.T) {
	s := grown(t, 3)
	found, err := s.storage().Verify(t.Context())
	if err != nil || len(found) > 0 {
		t.Fatalf("of a good cluster: %+v, %v", found, err)
	}
	s.nodes["node3"].Daemons["mon.node3"].Active = false
	s.nodes["node2"].Daemons["osd.1"].Enabled = false
	s.nodes["node2"].Keyrings[adminKeyring] = "x"
	s.nodes["node1"].Conf += "# changed"
	if found, err = s.storage().Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, f.Severity+" "+f.Node+": "+f.Text)
	}
	for _, want := range []string{
		"warning : MON_DOWN: a mon is not in quorum",
		"error : mon.node3 not in quorum",
		"warning node2: osd.1 does not start at the next boot",
		"warning node2: the admin's key lies here, and not only on the master",
		"warning node1: not done yet: write ceph.conf and the keyrings of exporter and instances",
		"warning node3: not done yet: start mon.node3",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("not found: %q in %q", want, lines)
		}
	}
	s.must(s.init())
	delete(s.nodes["node2"].Keyrings, adminKeyring)
	s.nodes["node2"].Daemons["osd.1"].Enabled = true
	if found, err = s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("of a mended cluster: %+v, %v", found, err)
	}
}

// TestVerifyMarks finds marks that somebody has taken away, and the cure gives them back.
func TestVerifyMarks(t *testing.T) {
	s := grown(t, 3)
	release, err := s.env.Store.Lock(t.Context(), "by hand")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		s.env.Inventory.MarkGroup(t.Context(), "default", ""), s.env.Inventory.MarkNode(t.Context(), "node2", ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	release()
	found, err := s.storage().Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Finding{
		{"", SeverityError, "group default is the storage group and has lost its mark", initCommand("default")},
		{"node2", SeverityError, "carries daemons of the storage cluster and has lost its mark", initCommand("default")},
	} {
		if !slices.Contains(found, want) {
			t.Errorf("want %+v in %+v", want, found)
		}
	}
	s.must(s.init())
	if found, err = s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("of a mended cluster: %+v, %v", found, err)
	}
}

// TestVerifyOffline finds daemons that somebody has started on a node that is offline, and none on one that is off.
func TestVerifyOffline(t *testing.T) {
	s := grown(t, 4)
	s.must(s.offline("node2"))
	if found, err := s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("of a node that is offline: %+v, %v", found, err)
	}
	s.nodes["node2"].Daemons["osd.1"] = &simDaemon{Daemon: node.Daemon{Role: node.RoleOSD, ID: "1"}, Active: true, fsid: s.fsid}
	found, err := s.storage().Verify(t.Context())
	want := Finding{"node2", SeverityError, "is offline, and has daemons that run or start at the next boot: osd.1", "cephctl node modify --offline=yes node2"}
	if err != nil || !slices.Contains(found, want) {
		t.Errorf("want %+v in %+v, %v", want, found, err)
	}
	s.nodes["node2"].down = true
	if found, err = s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("of a node that is off: %+v, %v", found, err)
	}
}

func TestAddWithOptions(t *testing.T) {
	s := grown(t, 3)
	s.must(addWithDisks(s))
	equal(t, "options", control.Values{OptionDisk: {"/dev/vdb", "/dev/vdc"}}, s.load().Storage[Name].Nodes["node4"])
	equal(t, "OSDs", 5, len(s.osds))
	if found, err := s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("afterwards: %+v, %v", found, err)
	}
}

// adminClients is an inventory like Ganeti's, whose instances use the administrator's key.
type adminClients struct{ control.Inventory }

func (i adminClients) Cluster(ctx context.Context) (control.Cluster, error) {
	c, err := i.Inventory.Cluster(ctx)
	c.AdminClients, c.MasterStays = true, true
	return c, err
}

func TestAdminClients(t *testing.T) {
	s := newSim(t, 3, nil)
	s.env.Inventory = adminClients{s.env.Inventory}
	s.must(s.init())
	for name, n := range s.nodes {
		if n.Keyrings[adminKeyring] == "" {
			t.Errorf("%s has not the admin's key: %v", name, n.Keyrings)
		}
	}
	s.nothing(s.init())
	if found, err := s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("of a good cluster: %+v, %v", found, err)
	}
	s.must(s.add(4))
	if s.nodes["node4"].Keyrings[adminKeyring] == "" {
		t.Error("a node that came later has not the admin's key")
	}
}

// TestStatusOfLeaving does not offer to bring a node back that is about to go.
func TestStatusOfLeaving(t *testing.T) {
	s := grown(t, 4)
	s.killedAfter("mon-out node2", s.offline("node2"))
	status, err := s.storage().Status(t.Context())
	if err != nil || status.Operation == "" || len(status.Next)+len(status.Blockers) > 0 {
		t.Errorf("got %+v, %v", status, err)
	}
}

// TestWithoutKey says on a host that is not the master what is lacking, and not that all is well.
func TestWithoutKey(t *testing.T) {
	s := newSim(t, 1, nil)
	if err := s.put(s.nodes["node1"], "ceph.conf", "fsid = "+otherFSID); err != nil {
		t.Fatal(err)
	}
	status, err := s.storage().Status(t.Context())
	if err != nil || status.Problem != errNoKey.Error() {
		t.Errorf("want %v, got %+v, %v", errNoKey, status, err)
	}
	found, err := s.storage().Verify(t.Context())
	if err != nil || len(found) != 1 || found[0].Severity != SeverityError || !strings.Contains(found[0].Text, errNoKey.Error()) {
		t.Errorf("want an error, got %+v, %v", found, err)
	}
}

// TestLostDisk leaves a disk alone that has taken the place of one of an OSD, and names the command for that.
func TestLostDisk(t *testing.T) {
	s := grown(t, 3)
	s.nodes["node2"].Daemons["osd.1"].Active = false
	s.nodes["node2"].Disks["/dev/sdb"].osd = nil
	s.must(s.init())
	s.nodes["node2"].Disks["/dev/sdb"].missing = true
	s.must(s.add(4))
	s.nodes["node2"].Disks["/dev/sdb"].missing = false
	equal(t, "OSDs", 4, len(s.osds))
	found, err := s.storage().Verify(t.Context())
	want := Finding{"node2", SeverityError, "nothing of osd.1 is on /dev/sdb any more", "cephctl storage replace-osd 1"}
	if err != nil || !slices.Contains(found, want) {
		t.Errorf("want %+v in %+v, %v", want, found, err)
	}
	s.must(s.storage().ReplaceOSD(1, "", "replace"))
	if found, err = s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("of a mended cluster: %+v, %v", found, err)
	}
}

// TestLostDiskAfterBoot replaces an OSD of which the node does not know any more where it was, as its disk is gone.
func TestLostDiskAfterBoot(t *testing.T) {
	s := grown(t, 3)
	osd := s.nodes["node2"].Daemons["osd.1"]
	osd.Active, osd.Device = false, ""
	s.nodes["node2"].Disks["/dev/sdb"].missing = true
	s.must(s.add(4))
	s.must(s.storage().ReplaceOSD(1, "/dev/sdc", "replace"))
	equal(t, "options", map[string]map[string][]string{"node2": {OptionDisk: {"/dev/sdc"}}}, s.snapshot().Options)
	s.nothing(s.init())
}

func TestExportRestore(t *testing.T) {
	s := grown(t, 3)
	file := filepath.Join(t.TempDir(), "export.json")
	if err := s.storage().Export(file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the export: %v, %v", info.Mode(), err)
	}
	if err := s.storage().Export(file); !errors.Is(err, control.ErrUsage) {
		t.Errorf("twice: want %v, got %v", control.ErrUsage, err)
	}
	fresh := newSim(t, 1, nil)
	for range 2 { // the second time it is all the same
		if err := fresh.storage().Restore(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "inventory", s.snapshot().Inventory, fresh.snapshot().Inventory)
	equal(t, "storage", s.load().Storage, fresh.load().Storage)
	for _, name := range []string{defaultConfig, defaultKeyring} {
		want, err1 := os.ReadFile(s.path(name))
		got, err2 := os.ReadFile(fresh.path(name))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		equal(t, name, string(want), string(got))
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := grown(t, 1)
	file := filepath.Join(t.TempDir(), "export.json")
	if err := s.storage().Export(file); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	old := filepath.Join(t.TempDir(), "old.json")
	if err := errors.Join(os.WriteFile(bad, []byte("{}"), 0o600), os.WriteFile(old, []byte(`{"version":9,"state":{}}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	newer := newSim(t, 1, nil)
	if err := newer.storage().Restore(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	newer.locked(func() error { return newer.env.Inventory.AddGroup(t.Context(), "since") })
	other := grown(t, 1)
	conf := newSim(t, 1, nil)
	foreign := conf.put(conf.nodes["node1"], "ceph.conf", "fsid = "+otherFSID)
	if foreign != nil {
		t.Fatal(foreign)
	}
	for _, c := range []struct {
		name, file string
		on         *sim
		want       error
		text       string
	}{
		{"none", "/nowhere", s, control.ErrUsage, "no such file"},
		{"no export", bad, s, control.ErrUsage, "is not a file of"},
		{"another version", old, s, control.ErrUsage, "has version 9"},
		{"another cluster's state", file, other, control.ErrBlocked, "keeps the state of another storage cluster"},
		{"a newer state", file, newer, control.ErrBlocked, "keeps a newer state of this storage cluster"},
		{"another ceph.conf", file, conf, control.ErrBlocked, "exists and is another one"},
	} {
		err := c.on.storage().Restore(t.Context(), c.file)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestUnknown(t *testing.T) {
	s := newSim(t, 1, nil)
	for _, change := range []control.Change{
		s.readd("none"), s.offline("none"), s.storage().RemoveDead("none", "dead"),
		s.storage().RemoveNode("none", "remove", RemoveOptions{}), s.storage().Assign("default", []string{"none"}, "assign"),
		s.storage().Assign("none", []string{"node1"}, "assign"),
		s.storage().AddNode(control.Node{Name: "x", Group: "none"}, nil, "add"),
	} {
		if _, err := s.try(change); !errors.Is(err, control.ErrUnknown) {
			t.Errorf("%s: want %v, got %v", change.Kind, control.ErrUnknown, err)
		}
	}
}

func TestRemoveForced(t *testing.T) {
	s := grown(t, 3)
	plan := s.must(s.storage().RemoveNode("node3", "remove", RemoveOptions{Force: true}))
	if len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "warning: node3 is part of distributed storage") {
		t.Errorf("notes: %q", plan.Notes)
	}
	_, ok := s.marks()["node3"]
	equal(t, "node3 is in the inventory", false, ok)
}

// TestMemoryOfMember lets other nodes come whatever a member's instances have grown to, and verify tells of these.
func TestMemoryOfMember(t *testing.T) {
	s := grown(t, 3)
	s.addInstance("big", "node2")
	s.must(s.add(4))
	s.setNode("node2", OptionDisk, "/dev/sdb", "/dev/sdc")
	plan, err := s.try(s.init())
	if !errors.Is(err, control.ErrBlocked) || !hasCase(plan, "memory") {
		t.Errorf("want memory for one more OSD, got %v, %v", plan.Blockers, err)
	}
	s.setNode("node2", OptionDisk)
	found, err := s.storage().Verify(t.Context())
	want := Finding{
		Node: "node2", Severity: SeverityWarning, Cure: memoryCure,
		Text: "1 OSDs × 4.0 GiB + instances 30.0 GiB + host 2.0 GiB = 36.0 GiB, and it has 32.0 GiB",
	}
	if err != nil || !slices.Contains(found, want) {
		t.Errorf("verify: %+v, %v", found, err)
	}
}

// TestForeignDaemons lets a node go that runs daemons of a Ceph that is not cephctl's.
func TestForeignDaemons(t *testing.T) {
	s := newSim(t, 2, nil)
	s.nodes["node2"].Daemons["osd.7"] = &simDaemon{fsid: otherFSID, Active: true}
	s.must(s.storage().RemoveNode("node2", "remove", RemoveOptions{}))
}

// TestBadClusterOptions names what is wrong with options that were changed by hand.
func TestBadClusterOptions(t *testing.T) {
	s := newSim(t, 1, nil)
	s.setState(func(st *state.Storage) { st.Options[OptionSize] = []string{"0"} })
	plan, err := s.try(s.init())
	if !errors.Is(err, control.ErrBlocked) || !hasCase(plan, "options") {
		t.Errorf("want options, got %v", err)
	}
}

// TestRenamedGroup goes on with a storage group that somebody has given another name, also where there is a new one of the old
// name, and misses a group of clients that is gone.
func TestRenamedGroup(t *testing.T) {
	s := grown(t, 4)
	s.locked(func() error {
		return s.store.Update(func(st *state.State) error {
			st.Storage[Name].Group, st.Storage[Name].Clients = "old", []string{"gone"}
			return nil
		})
	})
	gone := Finding{
		"", SeverityWarning, "there is no group gone any more, which was to be a client",
		"cephctl storage remove-client gone; if it was renamed, then cephctl storage add-client and its name",
	}
	for _, also := range []string{"other", "old"} {
		s.locked(func() error { return s.env.Inventory.AddGroup(t.Context(), also) })
		found, err := s.storage().Verify(t.Context())
		if diff := cmp.Diff([]Finding{gone}, found); diff != "" || err != nil {
			t.Errorf("with group %s: %v, (-want +got):\n%s", also, err, diff)
		}
		s.nothing(s.init())
	}
	s.must(s.storage().RemoveClient("gone", ""))
	s.must(s.offline("node4"))
	s.must(s.readd("node4"))
	if found, err := s.storage().Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("at the end: %+v, %v", found, err)
	}
}
