package main

import (
	"context"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// inventoryPlan adds to a plan what is to be done with what the inventory has now. Again tells whether it goes on with
// what was begun: then what it is to do may have been done, and is no mistake of who has typed it.
type inventoryPlan func(plan *control.Plan, c control.Cluster, again bool) error

// inventoryChange returns a change of the inventory or the state alone. Title is that of its plan.
func inventoryChange(env *control.Env, kind, target, title string, fill inventoryPlan) control.Change {
	return control.Change{
		Kind: kind, Target: target,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			plan := &control.Plan{Title: title}
			c, err := env.Inventory.Cluster(ctx)
			if err != nil {
				return nil, err
			}
			s, err := env.Store.Load()
			if err != nil {
				return nil, err
			}
			return plan, fill(plan, c, s.Operation != nil)
		},
	}
}

// add adds a step that happens on this host.
func add(plan *control.Plan, c control.Cluster, id, title, sentence string, do func(ctx context.Context) error) {
	plan.Steps = append(plan.Steps, control.Step{
		ID: id, Node: c.Master, Title: title, Commands: []string{sentence},
		Do: func(ctx context.Context, _ func(string)) error { return do(ctx) },
	})
}
