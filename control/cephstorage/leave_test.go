package cephstorage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// grown returns a cluster of this many nodes.
func grown(t *testing.T, nodes int) *sim {
	t.Helper()
	s := newSim(t, nodes, nil)
	s.must(s.init())
	s.revive()
	s.ran = nil
	return s
}

func (s *sim) setNode(name, option string, values ...string) {
	s.locked(func() error {
		return s.store.Update(func(st *state.State) error {
			own := st.Storage[Name]
			if own.Nodes == nil {
				own.Nodes = map[string]map[string][]string{}
			}
			if own.Nodes[name] == nil {
				own.Nodes[name] = map[string][]string{}
			}
			own.Nodes[name][option] = values
			return nil
		})
	})
}

// order wants lines that begin with these words to have been run in this order.
func (s *sim) order(begins ...string) {
	s.t.Helper()
	at := 0
	for _, begin := range begins {
		i := slices.IndexFunc(s.ran[at:], func(line string) bool { return strings.HasPrefix(line, begin) })
		if i < 0 {
			s.t.Fatalf("no %q after %d of %q", begin, at, s.ran)
		}
		at += i + 1
	}
}

func TestOffline(t *testing.T) {
	s := grown(t, 4)
	s.must(s.offline("node2"))
	s.order("osd ok-to-stop 1", "mon remove node2", "auth del mgr.node2", "osd out 1", "osd safe-to-destroy 1",
		"osd safe-to-destroy 1", "osd ok-to-stop 1", "osd safe-to-destroy 1", "osd purge 1", "osd crush rm node2")
	got := s.snapshot()
	equal(t, "quorum", []string{"node1", "node3", "node4"}, got.Quorum)
	equal(t, "mgrs", 2, len(s.mgrs()))
	equal(t, "OSDs", []string{"osd.0", "osd.2", "osd.3"}, got.Up)
	equal(t, "marks", " offline", s.marks()["node2"])
	equal(t, "what is left on the node", "", s.nodes["node2"].Conf+s.nodes["node2"].Info)
	equal(t, "daemons", 0, len(s.nodes["node2"].Daemons))
	equal(t, "node.json of the new mon", "node4 default ceph  [mon osd]", s.nodes["node4"].Info)
	for _, key := range []string{"osd.1", "mgr.node2"} {
		if s.keys[key] != "" {
			t.Errorf("the key of %s is left", key)
		}
	}
	if strings.Contains(s.nodes["node1"].Conf, "10.0.0.2") {
		t.Error("ceph.conf names the mon that has left")
	}
	s.nothing(s.offline("node2"))
	s.nothing(s.init())
	s.must(s.readd("node2"))
	equal(t, "OSDs after readd", 4, len(s.snapshot().Up))
	equal(t, "mons after readd", 3, len(s.mons))
}

// TestDrainWaits wants the OSD to run until its data has gone: neither EBUSY nor EAGAIN is a yes.
func TestDrainWaits(t *testing.T) {
	for _, no := range []error{failure(11, "Error EAGAIN: not yet"), failure(16, "Error EBUSY: no")} {
		s := grown(t, 4)
		asked := 0
		s.intercept = func(line string) (string, error, bool) {
			if !strings.HasPrefix(line, "osd safe-to-destroy") {
				return "", nil, false
			}
			if asked++; asked <= 5 {
				if !s.isUp("osd.1") {
					t.Error("stopped before its data had gone")
				}
				return "", no, true
			}
			return "", nil, false
		}
		s.must(s.offline("node2"))
		if asked < 6 {
			t.Errorf("asked %d times", asked)
		}
	}
}

// TestDrainOutlivesErrors goes on when some answers fail, and gives up when all do.
func TestDrainOutlivesErrors(t *testing.T) {
	for _, fails := range []int{tolerated - 1, tolerated} {
		s := grown(t, 4)
		asked := 0
		s.intercept = func(line string) (string, error, bool) {
			if strings.HasPrefix(line, "osd safe-to-destroy") {
				asked++
			}
			return "", failure(1, "timed out"), asked > 0 && asked <= fails
		}
		_, err := s.try(s.offline("node2"))
		equal(t, "given up", fails == tolerated, err != nil)
	}
}

// TestLateNo is told by the cluster, when it is about to purge, that it is no longer safe.
func TestLateNo(t *testing.T) {
	s := grown(t, 4)
	s.settle = 50 * time.Millisecond
	s.intercept = func(line string) (string, error, bool) {
		if strings.HasPrefix(line, "osd safe-to-destroy") && !s.isUp("osd.1") {
			return "", failure(11, "Error EAGAIN: cannot draw any conclusions"), true
		}
		return "", nil, false
	}
	if _, err := s.try(s.offline("node2")); err == nil || !strings.Contains(err.Error(), "no longer safe: wait (cannot draw any conclusions)") {
		t.Errorf("want that it is no longer safe, got %v", err)
	}
	if s.osd(1) == nil {
		t.Error("the OSD was purged all the same")
	}
	s.intercept, s.settle = nil, time.Minute
	s.must(s.offline("node2"))
}

func TestNoDrainHeals(t *testing.T) {
	s := grown(t, 4)
	s.must(s.storage().Offline("node3", "offline", OfflineOptions{NoDrain: true}))
	s.order("osd ok-to-stop 2", "osd ok-to-stop 2", "osd out 2", "osd safe-to-destroy 2", "osd purge 2")
	equal(t, "marks", " offline", s.marks()["node3"])
}

// TestNoDrainKeeps stops OSDs whose data has no other place, and keeps them.
func TestNoDrainKeeps(t *testing.T) {
	s := grown(t, 3)
	s.must(keepOffline(s))
	equal(t, "marks", "ceph offline", s.marks()["node3"])
	equal(t, "weight", 1.0, s.osd(2).Weight)
	if s.isUp("osd.2") {
		t.Error("the OSD runs")
	}
	equal(t, "node.json", "node3 default ceph  []", s.nodes["node3"].Info)
	s.nothing(keepOffline(s))
	s.must(s.readd("node3"))
	equal(t, "OSDs", 3, len(s.snapshot().Up))
	equal(t, "mons", 3, len(s.mons))
	equal(t, "marks", Name, s.marks()["node3"])
}

// TestOfflineOfMaster wants the master to say that it runs nothing any more.
func TestOfflineOfMaster(t *testing.T) {
	s := grown(t, 4)
	s.must(s.offline("node1"))
	equal(t, "node.json", "node1 default   []", s.nodes["node1"].Info)
	s.nothing(s.offline("node1"))
}

// TestStoppedHostIsNoPlace does not count a host whose OSDs are stopped as a place for copies.
func TestStoppedHostIsNoPlace(t *testing.T) {
	s := grown(t, 4)
	s.nodes["node4"].Daemons["osd.3"].Active = false
	s.extra["OSD_DOWN"] = check{Muted: true}
	plan, err := s.try(s.offline("node2"))
	if !errors.Is(err, control.ErrBlocked) {
		t.Fatalf("want it refused, got %v", err)
	}
	if !hasCase(plan, "cannot-drain") {
		t.Errorf("want cannot-drain, got %v", plan.Blockers)
	}
}

func hasCase(plan *control.Plan, kind string) bool {
	return slices.ContainsFunc(plan.Blockers, func(b control.Blocker) bool { return b.Case == kind })
}

// TestAddedMonCounts lets a node go although another mon is down, as a new one is added first.
func TestAddedMonCounts(t *testing.T) {
	s := grown(t, 4)
	s.nodes["node3"].Daemons["mon.node3"].Active = false
	s.extra["MON_DOWN"] = check{Muted: true}
	plan, err := s.env.Preview(t.Context(), s.offline("node2"))
	if err != nil || hasCase(plan, "mon-majority") {
		t.Errorf("want no mon-majority, got %v, %v", plan.Blockers, err)
	}
}

func TestRemoveDead(t *testing.T) {
	s := grown(t, 4)
	s.nodes["node2"].down = true
	s.extra["OSD_FULL"] = check{Severity: "HEALTH_ERR"} // the cure goes on
	s.setNode("node2", OptionDisk, "/dev/sdb")
	s.must(s.storage().RemoveDead("node2", "remove --dead"))
	s.order("mon remove node2", "auth del mgr.node2", "osd out 1", "status", "status", "osd purge 1", "osd crush rm node2")
	equal(t, "quorum", []string{"node1", "node3", "node4"}, s.quorum())
	equal(t, "mgrs", 2, len(s.mgrs()))
	_, ok := s.marks()["node2"]
	equal(t, "node2 is in the inventory", false, ok)
	equal(t, "options that are left", 0, len(s.snapshot().Options))
	s.nothing(s.init())
}

// TestRemoveDeadByAddress removes nodes, with a mon and without, whose host names are not those in the inventory.
func TestRemoveDeadByAddress(t *testing.T) {
	s := newSim(t, 5, nil)
	s.nodes["node2"].Host, s.nodes["node5"].Host = "rack7", "rack8"
	s.must(s.init())
	s.nodes["node2"].down = true
	s.must(s.storage().RemoveDead("node2", "remove --dead"))
	s.order("mon remove rack7", "osd purge 1", "osd crush rm rack7")
	s.nodes["node5"].down = true
	s.must(s.storage().RemoveDead("node5", "remove --dead"))
	s.order("osd purge 4", "osd crush rm rack8")
	equal(t, "OSDs", 3, len(s.osds))
}

// TestRemoveDeadTwo removes a node while another does not answer either.
func TestRemoveDeadTwo(t *testing.T) {
	s := newSim(t, 6, map[string][]string{OptionDisk: {"/dev/sdb"}, OptionMons: {"5"}})
	s.must(s.init())
	s.nodes["node2"].down, s.nodes["node6"].down = true, true
	s.must(s.storage().RemoveDead("node2", "remove --dead"))
	equal(t, "mons", 4, len(s.mons))
}

func TestReplaceOSD(t *testing.T) {
	s := grown(t, 4)
	uuid := s.osd(1).UUID
	s.must(s.storage().ReplaceOSD(1, "/dev/sdc", "replace"))
	s.order("osd out 1", "osd safe-to-destroy 1", "osd ok-to-stop 1", "osd destroy 1", "osd new", "osd in 1")
	if s.osd(1).UUID == uuid || !s.isUp("osd.1") || s.osd(1).Weight != 1 {
		t.Errorf("not replaced: %+v", s.osd(1))
	}
	equal(t, "options", map[string]map[string][]string{"node2": {OptionDisk: {"/dev/sdc"}}}, s.snapshot().Options)
	s.nothing(s.init())
}

// TestReplaceByRelativePath refuses a device that only the making of the OSD would, once the old one is gone.
func TestReplaceByRelativePath(t *testing.T) {
	s := grown(t, 4)
	if _, err := s.env.Preview(t.Context(), s.storage().ReplaceOSD(1, "sdc", "replace")); !errors.Is(err, control.ErrUsage) {
		t.Errorf("want %v, got %v", control.ErrUsage, err)
	}
}

// TestReplaceByStableName finds the option that names the old device by its other name.
func TestReplaceByStableName(t *testing.T) {
	s := newSim(t, 4, nil)
	s.nodes["node2"].Disks["/dev/sdb"].stable = "/dev/disk/by-id/old"
	s.must(s.init())
	s.must(s.storage().ReplaceOSD(1, "/dev/sdc", "replace"))
	equal(t, "options", map[string]map[string][]string{"node2": {OptionDisk: {"/dev/sdc"}}}, s.snapshot().Options)
}

// TestReplaceOneOfTwo drains one OSD to the other of the same host.
func TestReplaceOneOfTwo(t *testing.T) {
	s := newSim(t, 3, map[string][]string{OptionDisk: {"/dev/sdb", "/dev/sdc"}})
	s.must(s.init())
	s.must(s.storage().ReplaceOSD(2, "/dev/sdd", "replace"))
	s.nothing(s.init())
}

func TestDestroy(t *testing.T) {
	s := grown(t, 3)
	plan := s.must(s.storage().Destroy(false, "destroy"))
	if len(plan.Destroys) == 0 {
		t.Error("nothing says what is destroyed")
	}
	for _, n := range s.sorted() {
		if len(n.Daemons) > 0 || n.Conf != "" || n.Disks["/dev/sdb"].osd != nil || len(n.Keyrings) > 0 {
			t.Errorf("left on %s: %+v", n.Name, n)
		}
	}
	equal(t, "marks", map[string]string{"node1": "", "node2": "", "node3": ""}, s.marks())
	got := s.snapshot()
	if got.Group != "" || got.HasID || got.Initialised {
		t.Errorf("left in the state: %+v", got)
	}
	s.nothing(s.storage().Destroy(false, "destroy"))
	s.mons, s.osds, s.pools, s.hosts = nil, nil, nil, nil
	s.must(s.init())
}

// TestDestroyOfSilent takes a cluster down that has lost its quorum with a node, by what the refusal says.
func TestDestroyOfSilent(t *testing.T) {
	s := grown(t, 3)
	silent(s)
	down("node3")(s)
	s.must(s.storage().RemoveNode("node3", "remove", RemoveOptions{Force: true}))
	s.must(s.storage().Destroy(true, "destroy"))
	equal(t, "daemons on node1", 0, len(s.nodes["node1"].Daemons))
}

// TestDestroyHalfMade wants the disks wiped as well of OSDs that are ours and no daemons yet, and no others.
func TestDestroyHalfMade(t *testing.T) {
	s := newSim(t, 3, map[string][]string{OptionDisk: {"/dev/sdb"}})
	s.must(s.init())
	s.setCluster(OptionDisk, "/dev/sdb", "/dev/sdc", "/dev/sdd")
	s.osds = append(s.osds, &simOSD{ID: 9, UUID: "known"})
	fsid := s.fsid
	for name, osd := range map[string]node.DeviceOSD{
		"node1": {ID: -1, UUID: "known"},
		"node2": {ID: 9, UUID: "known", FSID: fsid},
		"node3": {ID: -1, UUID: "unknown"},
	} {
		s.nodes[name].Disks["/dev/sdc"].osd = &osd
	}
	s.nodes["node1"].Disks["/dev/sdd"].osd = &node.DeviceOSD{ID: 9, UUID: "known", FSID: otherFSID}
	s.must(s.storage().Destroy(false, "destroy"))
	for name, want := range map[string]bool{"node1": false, "node2": false, "node3": true} {
		if left := s.nodes[name].Disks["/dev/sdc"].osd != nil; left != want {
			t.Errorf("%s: left on the disk: %v, want %v", name, left, want)
		}
	}
	if s.nodes["node1"].Disks["/dev/sdd"].osd == nil {
		t.Error("what is another cluster's was wiped")
	}
}

// TestOfflineHalfMade wants a node that leaves to leave no OSD behind that was never made to the end, and no number of
// one in the map.
func TestOfflineHalfMade(t *testing.T) {
	s := grown(t, 4)
	s.setCluster(OptionDisk, "/dev/sdb", "/dev/sdc", "/dev/sdd")
	s.osds = append(s.osds, &simOSD{ID: 9, UUID: "known"})
	disks := s.nodes["node4"].Disks
	disks["/dev/sdc"].osd = &node.DeviceOSD{ID: -1, UUID: "known"}
	disks["/dev/sdd"].osd = &node.DeviceOSD{ID: 9, UUID: "known", FSID: otherFSID}
	s.must(s.offline("node4"))
	if disks["/dev/sdb"].osd != nil || disks["/dev/sdc"].osd != nil {
		t.Error("an OSD of ours is left on a disk")
	}
	if disks["/dev/sdd"].osd == nil {
		t.Error("what is another cluster's was wiped")
	}
	if s.osd(9) != nil {
		t.Error("the map still has the number of the OSD that was half made")
	}
}

// TestDestroyHalf takes down what an init has made that was given up.
func TestDestroyHalf(t *testing.T) {
	s := newSim(t, 3, nil)
	s.killedAfter("mgr node1", s.init())
	text, err := s.storage().Cancel(t.Context(), false)
	if err != nil || !strings.Contains(text, "cephctl storage destroy") {
		t.Fatalf("cancel: %q, %v", text, err)
	}
	s.must(s.storage().Destroy(false, "destroy"))
	for _, n := range s.sorted() {
		if len(n.Daemons) > 0 || n.Conf != "" {
			t.Errorf("left on %s: %+v", n.Name, n)
		}
	}
}

// TestCancel gives an OSD back the weight that it had.
func TestCancel(t *testing.T) {
	for _, weight := range []float64{1, 0.5} {
		s := grown(t, 4)
		s.osd(1).Weight = weight
		s.killedAfter("out node2", s.offline("node2"))
		equal(t, "weight while it is drained", 0, s.osd(1).Weight)
		text, err := s.storage().Cancel(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "weight", weight, s.osd(1).Weight)
		if !strings.Contains(text, "cephctl node add --readd node2") {
			t.Errorf("no advice: %q", text)
		}
		if s.load().Operation != nil {
			t.Error("the operation is left")
		}
		s.must(s.readd("node2"))
		equal(t, "mons", 3, len(s.mons))
	}
}

// TestCancelOfSilent gives up what can't be taken back only when it is told to, and says what to do by hand.
func TestCancelOfSilent(t *testing.T) {
	s := grown(t, 4)
	s.killedAfter("out node2", s.offline("node2"))
	silent(s)
	if _, err := s.storage().Cancel(t.Context(), false); err == nil || !strings.Contains(err.Error(), "cephctl storage cancel --force") {
		t.Errorf("want the way out, got %v", err)
	}
	if s.load().Operation == nil {
		t.Fatal("the operation was given up")
	}
	text, err := s.storage().Cancel(t.Context(), true)
	if err != nil || !strings.Contains(text, "ceph osd reweight 1 1\n") || s.load().Operation != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestCancelPoolRemove forbids the removal of pools again that a removal which was killed has allowed.
func TestCancelPoolRemove(t *testing.T) {
	s := grown(t, 3)
	s.dieAt = 3 // the operation is remembered, and the removal allowed
	if _, err := s.try(s.storage().RemovePool("rbd", "remove")); err == nil {
		t.Fatal("it was not interrupted")
	}
	s.revive()
	equal(t, "before", "true", s.config["mon "+allowDelete])
	if _, err := s.storage().Cancel(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	equal(t, "after", "", s.config["mon "+allowDelete])
	equal(t, "pools", 1, len(s.pools))
}

// TestCancelPoolGone takes away what goes with a pool that is gone already, and leaves what another needs.
func TestCancelPoolGone(t *testing.T) {
	s := grown(t, 4)
	for _, name := range []string{"near", "nearer"} {
		s.must(s.storage().CreatePool(name, "create", PoolOptions{Size: 2, Nodes: []string{"node1", "node2"}}))
	}
	for i, want := range []struct {
		pool, caps, class string
		rules, placed     int
	}{
		{"near", "profile rbd pool=rbd, profile rbd pool=nearer", "on-near", 2, 1},
		{"nearer", "profile rbd pool=rbd", "hdd", 1, 0},
	} {
		s.killedAfter("pool-rm "+want.pool, s.storage().RemovePool(want.pool, "remove"))
		equal(t, "pools", 2-i, len(s.pools))
		if _, err := s.storage().Cancel(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		equal(t, "caps", "mon profile rbd mgr "+want.caps+" osd "+want.caps, s.keys[instanceEntity])
		equal(t, "class", want.class, s.osds[0].Class)
		equal(t, "rules", want.rules, len(s.rules))
		equal(t, "pools that are remembered", want.placed, len(s.load().Storage[Name].Pools))
		equal(t, "the operation is left", false, s.load().Operation != nil)
	}
}

// TestCancelInstance names the images of an instance that was given up: nobody else knows them.
func TestCancelInstance(t *testing.T) {
	for kind, want := range map[string]string{
		"instance-add":    "given up: cephctl\nimages that were made for it stay; to remove one: rbd rm IMAGE\n  vms/made\n  vms/ns/also",
		"instance-remove": "given up: cephctl\nwhat is left of it: cephctl instance info web1",
	} {
		s := newSim(t, 1, nil)
		release, err := s.env.Store.Lock(t.Context(), "test")
		if err != nil {
			t.Fatal(err)
		}
		err = s.env.Store.Update(func(st *state.State) error {
			st.Operation = &state.Operation{Kind: kind, Target: "web1", Command: "cephctl", Data: map[string]string{
				"instance": `{"disks":[{"image":"made","made":true,"where":{"pool":"vms"}},{"image":"old","where":{"pool":"vms"}},` +
					`{"image":"also","made":true,"where":{"pool":"vms","namespace":"ns"}}]}`,
			}}
			return nil
		})
		release()
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.storage().Cancel(t.Context(), false)
		if err != nil || text != want {
			t.Errorf("got %q, %v, want %q", text, err, want)
		}
	}
}

func TestCancelNothing(t *testing.T) {
	s := newSim(t, 1, nil)
	text, err := s.storage().Cancel(t.Context(), false)
	if err != nil || text != "nothing was begun that is not finished" {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestSettleGivenUp says what is lacking.
func TestSettleGivenUp(t *testing.T) {
	s := newSim(t, 3, nil)
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	s.intercept = func(line string) (string, error, bool) {
		if line != "status" {
			return "", nil, false
		}
		if asked++; asked == 2 {
			cancel()
		}
		return `{"quorum_names":["node1","node2","node3"],"mgrmap":{"available":false}}`, nil, true
	}
	_, err := s.env.Execute(ctx, s.init(), quietUI{})
	if !control.Cancelled(err) || !strings.Contains(err.Error(), "wait (no mgr is active): context canceled") {
		t.Errorf("want that no mgr is active, got %v", err)
	}
	s.intercept = nil
	s.must(s.init())
}

// A node that somebody has moved out of the group takes its daemons along, and goes like a member.
func TestOfflineOfNodeThatWasMoved(t *testing.T) {
	s := grown(t, 4)
	otherGroup(s)
	s.locked(func() error { return s.env.Inventory.AssignNodes(t.Context(), "other", "node2") })
	s.must(s.offline("node2"))
	got := s.snapshot()
	equal(t, "OSDs", []string{"osd.0", "osd.2", "osd.3"}, got.Up)
	equal(t, "quorum", []string{"node1", "node3", "node4"}, got.Quorum)
	equal(t, "marks", " offline", s.marks()["node2"])
	equal(t, "daemons", 0, len(s.nodes["node2"].Daemons))
	s.nothing(s.offline("node2"))
}

// Whoever takes the marks away makes no other of the storage group.
func TestReaddWithoutMarks(t *testing.T) {
	s := grown(t, 4)
	s.locked(func() error {
		return errors.Join(s.env.Inventory.MarkGroup(t.Context(), "default", ""), s.env.Inventory.MarkNode(t.Context(), "node2", ""))
	})
	s.must(s.offline("node2"))
	equal(t, "daemons", 0, len(s.nodes["node2"].Daemons))
	s.must(s.readd("node2"))
	equal(t, "OSDs", 4, len(s.snapshot().Up))
	equal(t, "marks", "ceph", s.marks()["node2"])
}

// A pool that keeps no copy to spare can't miss the node's OSDs, until their data has moved.
func TestOfflineWithoutSpareCopy(t *testing.T) {
	s := grown(t, 4)
	s.pools[0].MinSize = s.pools[0].Size
	s.must(s.offline("node2"))
	equal(t, "OSDs", []string{"osd.0", "osd.2", "osd.3"}, s.snapshot().Up)
}

// A node may always go when its mon and its OSDs are down. When the cluster knows none of one that does not answer, nobody
// can tell.
func TestIsDown(t *testing.T) {
	gone := func(s *sim) { s.nodes["node2"].down = true }
	cut := func(s *sim) { s.nodes["node2"].broken = control.ErrUnreachable }
	elsewhere := func(s *sim) { // for the cluster
		s.nodes["node2"].address = "10.9.0.2"
		s.mons[1].Addresses = strings.ReplaceAll(s.mons[1].Addresses, "10.0.0.2", "10.9.0.2")
	}
	for name, c := range map[string]struct {
		host string
		set  []func(*sim)
		want bool
	}{
		"up":                            {"node2", nil, false},
		"dead":                          {"node2", []func(*sim){gone}, true},
		"dead, with another host name":  {"rack7", []func(*sim){gone}, true},
		"cut off, and up":               {"node2", []func(*sim){cut}, false},
		"dead, with another address":    {"node2", []func(*sim){gone, elsewhere}, true},
		"dead, with another of both":    {"rack7", []func(*sim){gone, elsewhere}, false},
		"cut off, with another of both": {"rack7", []func(*sim){cut, elsewhere}, false},
		"cut off, its OSD in no bucket of its own": {"node2", []func(*sim){cut, func(s *sim) {
			s.nodes["node2"].Daemons["mon.node2"].Active = false
			s.osd(1).Host = "node3"
			s.nodes["node3"].address = "10.0.0.2"
		}}, false},
		"without daemons": {"node2", []func(*sim){func(s *sim) { s.must(s.offline("node2")) }}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, 4, nil)
			s.nodes["node2"].Host = c.host
			s.must(s.init())
			for _, set := range c.set {
				set(s)
			}
			down, err := s.storage().IsDown(t.Context(), "node2")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "down", c.want, down)
		})
	}
}

// Who only judges whether a node may go plans nothing, waits for no other node, and asks nothing more once there is a reason.
func TestJudge(t *testing.T) {
	s := grown(t, 4)
	judge := func() *control.Plan {
		t.Helper()
		s.ran = nil
		plan, err := s.env.Preview(t.Context(), s.storage().Offline("node2", "", OfflineOptions{Judge: true}))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "steps", 0, len(plan.Steps))
		return plan
	}
	asked := func() bool {
		return slices.ContainsFunc(s.ran, func(line string) bool { return strings.HasPrefix(line, "osd ok-to-stop") })
	}
	s.nodes["node3"].broken = control.ErrUnreachable
	equal(t, "reasons, with another that does not answer", 0, len(judge().Blockers))
	equal(t, "asked Ceph", true, asked())
	if plan, _ := s.try(s.offline("node2")); plan == nil || len(plan.Blockers) != 1 || plan.Blockers[0].Node != "node3" {
		t.Errorf("want node3 to be in the way of who changes something, got %+v", plan)
	}
	s.extra["OSD_FULL"] = check{Severity: "HEALTH_ERR"}
	equal(t, "reasons, with a cluster that is not well", 1, len(judge().Blockers))
	equal(t, "asked Ceph once more", false, asked())
	delete(s.extra, "OSD_FULL")
	s.nodes["node2"].broken = control.ErrUnreachable
	if plan := judge(); len(plan.Blockers) != 1 || plan.Blockers[0].Case != "node-unreachable" || plan.Down {
		t.Errorf("of a node that does not answer: %+v", plan)
	}
}
