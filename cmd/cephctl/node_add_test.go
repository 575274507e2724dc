package main

import (
	"errors"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

// TestNodeAddFullName wants a new node of Ganeti's by its full name, where its nodes have full names.
func TestNodeAddFullName(t *testing.T) {
	s := newHookSite(t)
	s.write("ssconf_master_node", "node1.lab\n")
	err := s.checkFullName(control.Cluster{}, "node9")
	if !errors.Is(err, control.ErrUsage) || err.Error() != "usage: node node9: Ganeti's nodes have full names: node9.lab" {
		t.Errorf("a short name: %v", err)
	}
	if err := s.checkFullName(control.Cluster{}, "node9.lab"); err != nil {
		t.Errorf("a full name: %v", err)
	}
	s.write("ssconf_master_node", "node1\n")
	if err := s.checkFullName(control.Cluster{}, "node9"); err != nil {
		t.Errorf("where nodes have no domain: %v", err)
	}
	s.write("ssconf_master_node", "node1.lab\n")
	s.config.Inventory = inventoryLocal
	if err := s.checkFullName(control.Cluster{}, "node9"); err != nil {
		t.Errorf("of the local inventory: %v", err)
	}
}

// TestMasterStays keeps the master of a Ganeti cluster online, whether it has to do with storage or not.
func TestMasterStays(t *testing.T) {
	for stays, want := range map[bool]int{true: 1, false: 0} {
		env := &control.Env{Store: &controltest.Store{}, Inventory: fixedInventory{c: control.Cluster{
			Master: "n1", MasterStays: stays, Nodes: []control.Node{{Name: "n1"}, {Name: "n2"}},
		}}}
		plan, err := env.Preview(t.Context(), setOffline(env, kindOffline, "n1", true))
		if err != nil || len(plan.Blockers) != want {
			t.Errorf("the master that stays %v: %v, %+v", stays, err, plan)
		}
		if plan, err := env.Preview(t.Context(), setOffline(env, kindOffline, "n2", true)); err != nil || len(plan.Blockers) != 0 || len(plan.Steps) != 1 {
			t.Errorf("another node: %v, %+v", err, plan)
		}
	}
}
