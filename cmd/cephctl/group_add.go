package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newGroupAddCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:     "add GROUP",
		Short:   "Add a group without nodes",
		Long:    "Adds a group without nodes to the inventory. For a group that is there already nothing is done.\n" + exitStatus,
		Example: `  cephctl group add storage`,
		Args:    arguments(1, 1, "the name of the group"),
		RunE:    func(cmd *cobra.Command, args []string) error { return runGroupAdd(cmd.Context(), a, opts, args[0]) },
	}
	opts.register(cmd)
	return cmd
}

func runGroupAdd(ctx context.Context, a *app, opts changeOptions, name string) error {
	if err := checkName("group", name); err != nil {
		return err
	}
	return a.change(ctx, opts, func(env *control.Env) control.Change {
		return inventoryChange(env, "group-add", name, "add group "+name, func(plan *control.Plan, c control.Cluster, _ bool) error {
			if _, ok := c.Group(name); ok {
				plan.Note("group %s is there already", name)
				return nil
			}
			add(plan, "add", "put group "+name+" into the inventory", "inventory: group "+name, func(ctx context.Context) error {
				return env.Inventory.AddGroup(ctx, name)
			})
			return nil
		})
	})
}
