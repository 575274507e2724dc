package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// groupModifyOptions are the flags of group modify.
type groupModifyOptions struct {
	changeOptions
	disks diskParams
}

func newGroupModifyCommand(a *app) *cobra.Command {
	opts := groupModifyOptions{}
	cmd := &cobra.Command{
		Use:   "modify -D TEMPLATE:PARAMETER=VALUE,... GROUP",
		Short: "Give a group disk parameters of its own",
		Long: `Gives a group disk parameters of its own, which win over those of the cluster; "parameter=" brings the cluster's back.
They take effect when an instance is started. Those that say where images are can't change under instances.
` + a.diskParamHelp() + exitStatus,
		Example:           `  cephctl group modify -D rbd:access=kernelspace default`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE:              func(cmd *cobra.Command, args []string) error { return runGroupModify(cmd.Context(), a, opts, args[0]) },
	}
	opts.disks.register(cmd)
	opts.register(cmd)
	return cmd
}

func runGroupModify(ctx context.Context, a *app, opts groupModifyOptions, name string) error {
	if len(opts.disks) == 0 {
		return fmt.Errorf("%w: give -D TEMPLATE:parameter=value", control.ErrUsage)
	}
	given, err := a.parseDiskParams(opts.disks)
	if err != nil {
		return err
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return inventoryChange(env, "group-modify", name, "change the disk parameters of group "+name, func(plan *control.Plan, c control.Cluster, _ bool) error {
			if _, err := findGroup(c, name); err != nil {
				return err
			}
			return a.planDiskParams(env, plan, c, name, given)
		})
	})
}
