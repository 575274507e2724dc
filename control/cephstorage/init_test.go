package cephstorage

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (s *sim) marks() map[string]string {
	out := map[string]string{}
	for _, n := range s.snapshot().Inventory.Nodes {
		out[n.Name] = n.Mark
		if n.Offline {
			out[n.Name] += " offline"
		}
	}
	return out
}

func TestInit(t *testing.T) {
	s := newSim(t, 3, map[string][]string{OptionDisk: {"/dev/sdb", "/dev/sdc"}})
	s.env.Parallel = 8
	s.must(s.init())
	got := s.snapshot()
	equal(t, "quorum", []string{"node1", "node2", "node3"}, got.Quorum)
	equal(t, "mgrs", []string{"node1", "node2"}, s.mgrs())
	equal(t, "OSDs that are up", []string{"osd.0", "osd.1", "osd.2", "osd.3", "osd.4", "osd.5"}, got.Up)
	equal(t, "pools", []simPool{{ID: 1, Name: "rbd", Size: 3, MinSize: 2, Apps: []string{"rbd"}}}, got.Pools)
	equal(t, "marks", map[string]string{"node1": Name, "node2": Name, "node3": Name}, s.marks())
	if !got.Initialised || !got.HasID || got.Group != "default" || got.FirstKeys {
		t.Errorf("the state is not that of a cluster: %+v", got)
	}
	for _, key := range []string{exporterEntity, instanceEntity, "mgr.node1", "mgr.node2", "osd.0", "osd.5"} {
		if !slices.Contains(got.Keys, key) {
			t.Errorf("there is no key of %s", key)
		}
	}
	for _, n := range got.Nodes {
		admin := n.Keyrings[adminKeyring] != ""
		if admin != (n.Name == "node1") {
			t.Errorf("admin's key on %s: %v", n.Name, admin)
		}
	}
	equal(t, "node.json", "node3 default ceph  [mon osd]", s.nodes["node3"].Info)
	equal(t, "how often the instances' key was asked for", 1, strings.Count(strings.Join(s.ran, "\n"), "get-or-create "+instanceEntity))
	s.nothing(s.init())
}

// TestInitOwnMemory gives a node a memory target of its own.
func TestInitOwnMemory(t *testing.T) {
	s := newSim(t, 3, nil)
	s.setNode("node2", OptionOSDMemoryTarget, "8G")
	s.must(s.init())
	equal(t, "node1", "4294967296", confValue(s.nodes["node1"].Conf, "osd memory target"))
	equal(t, "node2", "8589934592", confValue(s.nodes["node2"].Conf, "osd memory target"))
	s.nothing(s.init())
}

// TestGrow begins with few nodes: one mon, and copies on different OSDs, until there are three hosts.
func TestGrow(t *testing.T) {
	for begin := range 3 {
		s := newSim(t, begin, nil)
		if begin == 0 {
			s.hardware(1) // the master, which is not in the inventory yet
			s.must(s.init())
			equal(t, "daemons of an empty group", 0, len(s.nodes["node1"].Daemons))
			s.nothing(s.init())
			s.must(s.add(1))
		} else {
			s.must(s.init())
			s.nothing(s.init())
		}
		for n := max(2, begin+1); n <= 3; n++ {
			equal(t, "quorum", []string{"node1"}, s.quorum())
			equal(t, "rule", 1, s.pools[0].Rule)
			equal(t, "default rule", "1", s.config["global "+defaultRule])
			s.must(s.add(n))
			s.nothing(s.init())
		}
		equal(t, "quorum of three", []string{"node1", "node2", "node3"}, s.quorum())
		equal(t, "rule of three", 0, s.pools[0].Rule)
		equal(t, "default rule of three", "0", s.config["global "+defaultRule])
		equal(t, "marks", map[string]string{"node1": Name, "node2": Name, "node3": Name}, s.marks())
	}
}

// TestMovePoolsLast wants the OSDs of a further host to be up before pools need that host.
func TestMovePoolsLast(t *testing.T) {
	s := newSim(t, 2, nil)
	s.must(s.init())
	var ids []string
	for _, step := range s.must(s.add(3)).Steps {
		ids = append(ids, step.ID)
	}
	osd, up, move := slices.Index(ids, "osd node3 /dev/sdb"), slices.Index(ids, "up"), slices.Index(ids, "move-pools")
	if osd < 0 || up < osd || move < up {
		t.Errorf("want osd, up, move-pools in this order: %q", ids)
	}
}

func TestReadd(t *testing.T) {
	s := newSim(t, 3, nil)
	s.must(s.init())
	s.newNode(4)
	s.setOffline("node4")
	s.must(s.readd("node4"))
	equal(t, "OSDs", 4, len(s.snapshot().Up))
	equal(t, "mons", 3, len(s.mons))
	equal(t, "marks", Name, s.marks()["node4"])
	s.nothing(s.readd("node4"))
}

// TestReaddWhileAway leaves a member as it is that does not answer: its mon counts.
func TestReaddWhileAway(t *testing.T) {
	s := newSim(t, 3, nil)
	s.must(s.init())
	s.nodes["node3"].down = true
	plan := s.must(s.add(4))
	equal(t, "mons", 3, len(s.mons))
	equal(t, "mons in ceph.conf", 3, strings.Count(s.nodes["node4"].Conf, "v2:"))
	if !slices.ContainsFunc(plan.Notes, func(n string) bool { return strings.HasPrefix(n, "node3 does not answer and is left") }) {
		t.Errorf("nothing says that node3 does not answer: %q", plan.Notes)
	}
	s.nodes["node3"].down = false
	s.nothing(s.init())
}

// TestReaddInError adds a node in spite of HEALTH_ERR: that is the cure.
func TestReaddInError(t *testing.T) {
	s := newSim(t, 3, nil)
	s.must(s.init())
	s.extra["OSD_FULL"] = check{Severity: "HEALTH_ERR"}
	s.must(s.add(4))
}

// TestNoStepsInOtherGroup adds a node to a group without storage.
func TestNoStepsInOtherGroup(t *testing.T) {
	s := newSim(t, 1, nil)
	s.must(s.add(2))
	equal(t, "marks", map[string]string{"node1": "", "node2": ""}, s.marks())
	s.setOffline("node2")
	s.must(s.readd("node2"))
	equal(t, "marks", map[string]string{"node1": "", "node2": ""}, s.marks())
}

func TestPreviewChangesNothing(t *testing.T) {
	s := newSim(t, 3, nil)
	before := s.snapshot()
	plan, err := s.env.Preview(t.Context(), s.init())
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) == 0 {
		t.Error("the plan has no steps")
	}
	if diff := cmp.Diff(before, s.snapshot(), sameModel); diff != "" {
		t.Errorf("preview has changed (-before +after):\n%s", diff)
	}
	for _, step := range plan.Steps {
		for _, c := range step.Commands {
			if strings.Contains(c, "==") {
				t.Errorf("a secret in %q", c)
			}
		}
	}
}

// TestNoSecrets wants no key among the words of a command.
func TestNoSecrets(t *testing.T) {
	s := newSim(t, 3, nil)
	s.must(s.init())
	secrets := slices.Collect(maps.Keys(s.keys))
	for _, line := range s.ran {
		for _, entity := range secrets {
			if strings.Contains(line, secretOf(entity)) {
				t.Errorf("the key of %s in %q", entity, line)
			}
		}
	}
}
