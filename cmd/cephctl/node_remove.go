package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// nodeRemoveOptions are the flags of node remove.
type nodeRemoveOptions struct {
	changeOptions
	force, dead bool
}

func newNodeRemoveCommand(a *app) *cobra.Command {
	opts := nodeRemoveOptions{}
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Remove a node",
		Long: `Removes a node from the inventory. A node that is part of distributed storage must be offline first. One that will
never answer again is removed with --dead, and what the storage cluster knows of it too.
` + exitStatus,
		Example: `  cephctl node remove node3
  cephctl node remove --dead node3`,
		Args:              arguments(1, 1, "the name of the node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runNodeRemove(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().BoolVar(&opts.force, "force", false, "remove it although it is part of distributed storage")
	cmd.Flags().BoolVar(&opts.dead, "dead", false, "the node will never answer again")
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}

func runNodeRemove(ctx context.Context, a *app, opts nodeRemoveOptions, name string) error {
	if opts.force && opts.dead {
		return fmt.Errorf("%w: give one of --force and --dead", control.ErrUsage)
	}
	c, st, err := a.remembered(ctx)
	if err != nil {
		return err
	}
	n, known := c.Node(name)
	storage := storageOfNode(c, n, st)
	if goesOn := !known && opts.dead && st.Operation != nil; goesOn {
		// It was taken out of the inventory, and then this was killed: only who began it can end it.
		n, storage = control.Node{Name: name}, a.storageNames()[0]
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		change := removeNode(env, name)
		if storage != "" {
			change = a.changeNode(env, nodeChange{kind: nodeRemove, storage: storage, node: n, force: opts.force, dead: opts.dead})
		}
		return keepsInstances(change, c, name)
	})
}

// keepsInstances adds to the plan of a change that removes a node what of it has to go first.
func keepsInstances(change control.Change, c control.Cluster, node string) control.Change {
	inner := change.Plan
	change.Plan = func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
		plan, err := inner(ctx, memory)
		if err != nil {
			return nil, err
		}
		for _, i := range c.Instances {
			if i.Node == node {
				plan.Block(node, "node-has-instances", moveText(i), "instance %s belongs to it", i.Name)
			}
		}
		return plan, nil
	}
	return change
}

// moveText says how an instance leaves its node.
func moveText(i control.Instance) string {
	if i.Status != "" { // it is Ganeti's
		return "move it: gnt-instance migrate " + i.Name + ", or, if it does not run, gnt-instance failover " + i.Name
	}
	return "start it elsewhere, where it stays: cephctl instance start --node NODE " + i.Name + ", or remove it: cephctl instance remove " + i.Name
}

// removeNode removes a node that has nothing to do with storage, and the storage options that it has of its own.
func removeNode(env *control.Env, name string) control.Change {
	return inventoryChange(env, "node-remove", name, "remove node "+name, func(plan *control.Plan, c control.Cluster, again bool) error {
		if _, err := findNode(c, name); err != nil && !again {
			return err
		}
		if name == c.Master {
			plan.Block(name, "node-master", "remove it from another node", "is the node that this runs on")
		}
		if _, ok := c.Node(name); ok {
			add(plan, "remove", "take node "+name+" out of the inventory", "inventory: no node "+name, func(ctx context.Context) error {
				return env.Inventory.RemoveNode(ctx, name)
			})
		}
		add(plan, "options", "forget the storage options of "+name, "state: no storage options of "+name, func(context.Context) error {
			return env.Store.Update(func(s *state.State) error {
				for _, storage := range s.Storage {
					delete(storage.Nodes, name)
				}
				return nil
			})
		})
		return nil
	})
}
