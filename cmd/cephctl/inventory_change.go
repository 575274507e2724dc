package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

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
			if err := fill(plan, c, s.Operation != nil); err != nil {
				return nil, err
			}
			return plan, setPlace(plan, c.Master)
		},
	}
}

// setPlace says where the steps happen: on this host, which need not be one of the nodes.
func setPlace(plan *control.Plan, master string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	for i := range plan.Steps {
		plan.Steps[i].Node = cmp.Or(master, host)
	}
	return nil
}

// add adds a step to a change of the inventory, which is one request. It happens on this host.
func add(plan *control.Plan, id, title, sentence string, do func(ctx context.Context) error) {
	plan.Steps = append(plan.Steps, control.Step{
		ID: id, Title: title, Commands: []string{sentence}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error { return do(ctx) },
	})
}
