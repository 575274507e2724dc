package cephstorage

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// scenario is a change, and what there is before it.
type scenario struct {
	name   string
	nodes  int
	before func(s *sim)
	change func(s *sim) control.Change
}

var scenarios = []scenario{
	{"init", 3, nil, func(s *sim) control.Change { return s.init() }},
	{"init on one node", 1, nil, func(s *sim) control.Change { return s.init() }},
	{"add to two", 2, initialised, func(s *sim) control.Change { return s.add(3) }},
	{"add to three", 3, initialised, func(s *sim) control.Change { return s.add(4) }},
	{"add to none", 0, func(s *sim) {
		s.hardware(9)
		s.nodes["localhost"] = s.nodes["node9"]
		delete(s.nodes, "node9")
		s.nodes["localhost"].Name, s.nodes["localhost"].Host = "localhost", "localhost"
		s.must(s.init())
	}, func(s *sim) control.Change { return s.add(2) }},
	{"mark empty", 1, func(s *sim) { s.setOffline("node1") }, func(s *sim) control.Change { return s.init() }},
	{"readd", 3, func(s *sim) {
		initialised(s)
		s.newNode(4)
		s.setOffline("node4")
	}, func(s *sim) control.Change { return s.readd("node4") }},
	{"offline of a mon", 4, initialised, func(s *sim) control.Change { return s.offline("node2") }},
	{"offline of the master", 4, initialised, func(s *sim) control.Change { return s.offline("node1") }},
	{"offline without drain", 4, initialised, func(s *sim) control.Change {
		return s.storage().Offline("node3", "offline", OfflineOptions{NoDrain: true})
	}},
	{"offline that keeps", 3, initialised, keepOffline},
	{"readd of what was kept", 3, func(s *sim) {
		initialised(s)
		s.must(keepOffline(s))
	}, func(s *sim) control.Change { return s.readd("node3") }},
	{"remove-dead", 4, deadNode2, func(s *sim) control.Change { return s.storage().RemoveDead("node2", "remove --dead") }},
	{"remove-dead of a node with options", 4, func(s *sim) {
		deadNode2(s)
		s.setNode("node2", OptionDisk, "/dev/sdb")
	}, func(s *sim) control.Change { return s.storage().RemoveDead("node2", "remove --dead") }},
	{"remove-dead of three", 3, deadNode2, func(s *sim) control.Change { return s.storage().RemoveDead("node2", "remove --dead") }},
	{"remove-dead of another host name", 4, func(s *sim) {
		s.nodes["node2"].Host = "rack7"
		deadNode2(s)
	}, func(s *sim) control.Change { return s.storage().RemoveDead("node2", "remove --dead") }},
	{"replace-osd", 4, initialised, func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "/dev/sdc", "replace") }},
	{"replace-osd in its place", 4, initialised, func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "", "replace") }},
	{"replace-osd that is down", 3, func(s *sim) {
		initialised(s)
		s.nodes["node2"].Daemons["osd.1"].Active = false
		s.nodes["node2"].Disks["/dev/sdb"].missing = true
	}, func(s *sim) control.Change { return s.storage().ReplaceOSD(1, "/dev/sdc", "replace") }},
	{"destroy", 3, initialised, func(s *sim) control.Change { return s.storage().Destroy(false, "destroy") }},
	{"node add with disks", 3, initialised, addWithDisks},
	{"pool create", 3, initialised, func(s *sim) control.Change {
		return s.storage().CreatePool("two", "create", PoolOptions{Size: 2})
	}},
	{"pool create on nodes", 3, initialised, func(s *sim) control.Change {
		return s.storage().CreatePool("near", "create", PoolOptions{Size: 2, Nodes: []string{"node1", "node2"}})
	}},
	{"add-client", 3, func(s *sim) {
		initialised(s)
		s.compute(4, 5)
	}, addClient},
	{"remove-client", 3, func(s *sim) {
		initialised(s)
		s.compute(4, 5)
		s.must(addClient(s))
	}, removeClient},
	{"node add to clients", 3, func(s *sim) {
		initialised(s)
		s.compute(4)
		s.must(addClient(s))
	}, addToClients},
	{"assign to clients", 3, func(s *sim) {
		initialised(s)
		s.compute(4)
		s.must(addClient(s))
		s.spare()
	}, func(s *sim) control.Change { return s.storage().Assign("compute", []string{"node5"}, "assign") }},
	{"destroy with clients", 3, func(s *sim) {
		initialised(s)
		s.compute(4, 5)
		s.must(addClient(s))
	}, func(s *sim) control.Change { return s.storage().Destroy(false, "destroy") }},
	{"pool remove on nodes", 3, func(s *sim) {
		initialised(s)
		s.must(s.storage().CreatePool("near", "create", PoolOptions{Size: 2, Nodes: []string{"node1", "node2"}}))
	}, func(s *sim) control.Change { return s.storage().RemovePool("near", "remove") }},
	{"readd of a node with a pool", 4, func(s *sim) {
		initialised(s)
		s.must(s.storage().CreatePool("near", "create", PoolOptions{Size: 2, Nodes: []string{"node1", "node3", "node4"}}))
		s.must(s.offline("node4"))
	}, func(s *sim) control.Change { return s.readd("node4") }},
	{"pool remove", 3, initialised, func(s *sim) control.Change { return s.storage().RemovePool("rbd", "remove") }},
	{"assign", 1, func(s *sim) {
		s.locked(func() error { return s.env.Inventory.AddGroup(s.t.Context(), "other") })
	}, func(s *sim) control.Change { return s.storage().Assign("other", []string{"node1"}, "assign") }},
	{"node remove", 2, nil, func(s *sim) control.Change { return s.storage().RemoveNode("node2", "remove", RemoveOptions{}) }},
	{"node remove with disks of its own", 3, func(s *sim) { s.setNode("node3", OptionDisk, "/dev/vdb") }, func(s *sim) control.Change {
		return s.storage().RemoveNode("node3", "remove", RemoveOptions{})
	}},
}

// addToClients adds a node to the group of clients.
func addToClients(s *sim) control.Change {
	if s.nodes["node5"] == nil {
		s.hardware(5)
	}
	n := s.inventoryNode(5)
	n.Group = "compute"
	return s.storage().AddNode(n, nil, "add")
}

// addWithDisks adds a node that has other disks than the rest.
func addWithDisks(s *sim) control.Change {
	if s.nodes["node4"] == nil {
		s.hardware(4)
		s.nodes["node4"].Disks = map[string]*simDisk{"/dev/vdb": {stable: "/dev/vdb"}, "/dev/vdc": {stable: "/dev/vdc"}}
	}
	return s.storage().AddNode(s.inventoryNode(4), control.Values{OptionDisk: {"/dev/vdb", "/dev/vdc"}}, "add")
}

func initialised(s *sim) { s.must(s.init()) }

func keepOffline(s *sim) control.Change {
	return s.storage().Offline("node3", "offline", OfflineOptions{NoDrain: true})
}

func deadNode2(s *sim) {
	initialised(s)
	s.nodes["node2"].down = true
}

func (s *sim) setOffline(name string) {
	s.locked(func() error { return s.env.Inventory.SetOffline(s.t.Context(), name, true) })
}

func (c *scenario) prepare(t *testing.T) *sim {
	s := newSim(t, c.nodes, nil)
	if c.before != nil {
		c.before(s)
	}
	s.revive()
	return s
}

var sameModel = cmp.Options{
	cmp.AllowUnexported(simPool{}, simDisk{}),
	cmpopts.IgnoreUnexported(simNode{}, simDaemon{}, simOSD{}),
	cmpopts.EquateEmpty(),
}

// point is a place where a run ends: at a point of a step, or before a change.
type point struct {
	where, step string
	change      int
}

func (p point) String() string {
	if p.step == "" {
		return fmt.Sprintf("before change %d", p.change)
	}
	return p.where + " of " + p.step
}

// TestInterrupted ends each change at every point of every step, and before every single thing that it changes anywhere,
// as kill -9 would. The same change again has to end as if nothing had been.
func TestInterrupted(t *testing.T) {
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want, points := c.whole(t)
			for _, p := range points {
				t.Run(p.String(), func(t *testing.T) {
					t.Parallel()
					c.interrupted(t, want, p)
				})
			}
		})
	}
}

// whole carries out the change without an interruption. It returns what comes of it, and where it can be ended.
func (c *scenario) whole(t *testing.T) (snapshot, []point) {
	s := c.prepare(t)
	var points []point
	s.env.Points = func(where, step string) { points = append(points, point{where: where, step: step}) }
	plan := s.must(c.change(s))
	if len(plan.Steps) == 0 {
		t.Fatal("there is nothing to do")
	}
	checkIDs(t, plan)
	for i := range s.changes {
		points = append(points, point{change: i + 1})
	}
	return s.snapshot(), points
}

// checkIDs wants ids that tell the steps apart.
func checkIDs(t *testing.T, plan *control.Plan) {
	t.Helper()
	var seen []string
	for _, step := range plan.Steps {
		if slices.Contains(seen, step.ID) {
			t.Errorf("two steps have the id %q", step.ID)
		}
		seen = append(seen, step.ID)
	}
}

func (c *scenario) interrupted(t *testing.T, want snapshot, p point) {
	s := c.prepare(t)
	s.dieAt = p.change
	s.env.Points = func(where, step string) {
		if where == p.where && step == p.step {
			s.die()
		}
	}
	if _, err := s.try(c.change(s)); err == nil {
		t.Fatal("it was not interrupted")
	}
	s.revive()
	s.must(c.change(s))
	if diff := cmp.Diff(want, s.snapshot(), sameModel); diff != "" {
		t.Errorf("after going on (-want +got):\n%s", diff)
	}
	if op := s.load().Operation; op != nil {
		t.Errorf("the operation is left: %+v", op)
	}
}
