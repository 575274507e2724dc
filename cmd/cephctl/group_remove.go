package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newGroupRemoveCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:               "remove GROUP",
		Short:             "Remove a group without nodes",
		Long:              "Removes a group without nodes from the inventory. The storage group and the last group stay.\n" + exitStatus,
		Example:           `  cephctl group remove spare`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE:              func(cmd *cobra.Command, args []string) error { return runGroupRemove(cmd.Context(), a, opts, args[0]) },
	}
	opts.register(cmd)
	return cmd
}

func runGroupRemove(ctx context.Context, a *app, opts changeOptions, name string) error {
	return a.change(ctx, opts, func(env *control.Env) control.Change {
		return inventoryChange(env, "group-remove", name, "remove group "+name, func(plan *control.Plan, c control.Cluster, again bool) error {
			g, err := findGroup(c, name)
			if err != nil && again {
				return forgetClients(plan, env, name)
			}
			if err != nil {
				return err
			}
			blockGroupRemove(plan, c, g)
			add(plan, "remove", "take group "+name+" out of the inventory", "inventory: no group "+name, func(ctx context.Context) error {
				return env.Inventory.RemoveGroup(ctx, name)
			})
			return forgetClients(plan, env, name)
		})
	})
}

// forgetClients adds a step that forgets that a group is a client of the storage cluster: another of its name is none.
func forgetClients(plan *control.Plan, env *control.Env, group string) error {
	st, err := env.Store.Load()
	if err != nil || storageOfClients(group, st) == "" {
		return err
	}
	plan.Steps = append(plan.Steps, clusterOf(env).ForgetClient("", group)) // where, is said by who has begun the plan
	return nil
}

// blockGroupRemove adds the reasons why a group has to stay.
func blockGroupRemove(plan *control.Plan, c control.Cluster, g control.Group) {
	if g.Mark != "" {
		plan.Block("", "group-storage", "take the storage cluster down first: cephctl storage destroy", "group %s is the storage group", g.Name)
	}
	if nodes := names(c.Members(g.Name)); len(nodes) > 0 {
		plan.Block("", "group-not-empty", "move them first: cephctl group assign-nodes GROUP "+strings.Join(nodes, " "), "group %s has nodes", g.Name)
	}
	if len(c.Groups) == 1 {
		plan.Block("", "group-last", "add another first: cephctl group add GROUP", "group %s is the only one", g.Name)
	}
}
