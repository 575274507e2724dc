package main

import (
	"errors"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
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
