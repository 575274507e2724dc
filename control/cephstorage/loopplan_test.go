package cephstorage

import (
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Instances with access=kernelspace meet the OSDs of their pool, and are taken apart.
func TestPlanLoopback(t *testing.T) {
	s := grown(t, 4)
	inventory := s.env.Inventory.(control.InstanceInventory)
	params := func(group string, values control.Values) {
		s.locked(func() error { return inventory.SetDiskParams(t.Context(), group, TemplateName, values) })
	}
	look := func() *LoopbackPlan {
		t.Helper()
		plan, err := s.storage().PlanLoopback(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	equal(t, "with userspace", &LoopbackPlan{Known: true, Meetings: []Meeting{}, Moves: []Move{}}, look())

	s.must(s.storage().CreatePool("near", "create", PoolOptions{Size: 2, Nodes: []string{"node1", "node2"}}))
	s.locked(func() error {
		return inventory.AddInstance(t.Context(), control.Instance{
			Name: "web1", Node: "node1", Disks: []control.Disk{{Template: TemplateName, Image: "i", Where: map[string]string{ParamPool: "near"}}},
		})
	})
	params("", control.Values{ParamAccess: {"kernelspace"}, ParamPool: {"near"}, ParamCache: {"none"}})
	plan := look()
	meeting := Meeting{Group: "default", Node: "node1", Pool: "near", Access: "kernelspace", Cache: "none", Level: loopback.Notice, PGs: 8, Here: 8, Instances: []string{"web1"}}
	other := meeting
	other.Node, other.Instances = "node2", []string{}
	equal(t, "meetings on the nodes of the pool", []Meeting{meeting, other}, plan.Meetings)
	equal(t, "moves", []Move{
		{
			Group: "default", Pool: "near", Text: "let QEMU open the images itself", Restarts: []string{"web1"},
			Commands: []string{"cephctl group modify -D rbd:access=userspace default"},
		},
		{
			Group: "default", Pool: "near", Text: "keep the images in a pool of nodes on which no instance of the group runs, and run none there",
			Commands:   []string{"cephctl pool create --size 2 --on-nodes node3,node4 NEWPOOL", "rbd deep cp near/IMAGE NEWPOOL/IMAGE    # each, while its instance is stopped"},
			MovesBytes: 5 << 30, Restarts: []string{"web1"},
		},
		{
			Group: "default", Pool: "near", Text: "run the instances on nodes of another group", Restarts: []string{"web1"},
			Lacks: "a group of nodes without OSDs of the pool",
		},
	}, plan.Moves)

	// Of nodes that a pool is kept on already, a new one takes all or none.
	s.must(s.storage().CreatePool("far", "create", PoolOptions{Size: 2, Nodes: []string{"node3", "node4"}}))
	equal(t, "the nodes of another pool", "cephctl pool create --size 2 --on-nodes node3,node4 NEWPOOL", look().Moves[1].Commands[0])
	s.must(s.storage().CreatePool("new", "create", PoolOptions{Size: 2, Nodes: []string{"node3", "node4"}}))

	// What keeps no copies is not like a pool that cephctl makes.
	near := s.pool("near")
	near.Erasure, near.Size = true, 3
	equal(t, "an erasure-coded pool", Move{
		Group: "default", Pool: "near", Text: "keep the images in a pool of nodes on which no instance of the group runs, and run none there",
		Lacks:      "a pool made by hand, as near is erasure-coded and cephctl makes pools with copies of all data",
		MovesBytes: 5 << 30, Restarts: []string{"web1"},
	}, look().Moves[1])
	near.Erasure, near.Size = false, 2

	s.compute(5)
	params("compute", control.Values{ParamCache: {"writeback"}})
	plan = look()
	equal(t, "meetings with a group without OSDs", 2, len(plan.Meetings))
	equal(t, "the move there", []string{"cephctl storage add-client compute", "cephctl instance start --node NODE INSTANCE    # each, after it was stopped"}, plan.Moves[2].Commands)

	params("default", control.Values{ParamCache: {"writeback"}})
	if plan = look(); plan.Meetings[0].Level != loopback.Warning {
		t.Errorf("through the page cache: %+v", plan.Meetings[0])
	}
	s.intercept = func(line string) (string, error, bool) {
		return "", failure(1, "Error ETIMEDOUT: no mgr"), line == "pg ls-by-pool near" || line == "df"
	}
	plan = look()
	if len(plan.Missing) != 2 || len(plan.Meetings) != 2 || plan.Meetings[0].PGs != 0 || plan.Moves[1].MovesBytes != 0 {
		t.Errorf("without a mgr: %+v", plan)
	}
	s.intercept = nil

	s.env.Inventory = plainInventory{s.env.Inventory}
	if plan = look(); plan.Known || !strings.HasPrefix(plan.Moves[0].Commands[0], "gnt-group modify") {
		t.Errorf("where Ganeti keeps the instances: %+v", plan)
	}
}

// plainInventory keeps no instances of cephctl's, as Ganeti's.
type plainInventory struct{ control.Inventory }
