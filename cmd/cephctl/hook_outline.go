package main

import (
	"context"
	"slices"
	"sync"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
)

// outliner is what an inventory has that hooks need beside.
type outliner interface {
	control.Inventory
	Outline(ctx context.Context) (*ganeti.Outline, error)
	Running(ctx context.Context, code string) ([]ganeti.Op, error)
}

// outlined is the inventory of a hook before something is done: it is read once, and no node is waited for.
type outlined struct {
	outliner

	mu      sync.Mutex
	outline *ganeti.Outline
}

// Outline implements outliner.
func (o *outlined) Outline(ctx context.Context) (*ganeti.Outline, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.outline != nil {
		return o.outline, nil
	}
	var err error
	o.outline, err = o.outliner.Outline(ctx)
	return o.outline, err
}

// Cluster implements control.Inventory.
func (o *outlined) Cluster(ctx context.Context) (control.Cluster, error) {
	outline, err := o.Outline(ctx)
	if err != nil {
		return control.Cluster{}, err
	}
	c := outline.Cluster
	c.Nodes = slices.Clone(c.Nodes) // who plans may sort and add
	return c, nil
}
