package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// nodeChange is a change of a node that is in a storage group, comes into one, or carries storage.
type nodeChange struct {
	Kind changeKind
	// Node is the node as the inventory has it, or as it is to be for one that is new to it.
	Node control.Node
	// Storage is the storage type of the group or node.
	Storage control.StorageType
	// NoDrain does not wait until the node's data is elsewhere.
	NoDrain bool
	// Force removes a node although it is part of distributed storage, Dead one that will never answer again.
	Force, Dead bool
}

// changeKind is what happens to a node.
type changeKind string

// The kinds of changes.
const (
	// changeAdd adds a node to the inventory, in a storage group.
	changeAdd changeKind = "add"
	// changeReadd brings a node of a storage group back that is offline.
	changeReadd changeKind = "readd"
	// changeOffline takes a node offline.
	changeOffline changeKind = "offline"
	// changeRemove removes a node from the inventory.
	changeRemove changeKind = "remove"
)

// nodePlanner plans a change of a node that has to do with storage, the change of the inventory included.
type nodePlanner func(ctx context.Context, env *control.Env, change nodeChange) (control.Plan, error)

// applier carries out a plan without blockers. It tells the watcher how far it is. When ctx ends, it stops at a safe
// point and returns an error; the same plan, made again, then goes on.
type applier func(ctx context.Context, env *control.Env, plan *control.Plan, watch watcher) error

// planNode is the planner of nodes.
func planNode(_ context.Context, _ *control.Env, change nodeChange) (control.Plan, error) {
	return control.Plan{}, fmt.Errorf("%s node %s, which has to do with storage: %w", change.Kind, change.Node.Name, errors.ErrUnsupported)
}

// apply carries out one step after the other.
func apply(ctx context.Context, env *control.Env, plan *control.Plan, watch watcher) error {
	for i := range plan.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &plan.Steps[i]
		watch.begin(s)
		err := applyStep(ctx, s, watch)
		watch.end(s, err)
		env.Log.Info("step", "id", s.ID, "node", s.Node, "title", s.Title, "error", err)
		if err != nil {
			return fmt.Errorf("%s: %w", place(*s), err)
		}
	}
	return nil
}

func applyStep(ctx context.Context, s *control.Step, watch watcher) error {
	if s.Check != nil {
		if err := s.Check(ctx); err != nil {
			return err
		}
	}
	return s.Do(ctx, func(text string) { watch.say(s, text) })
}
