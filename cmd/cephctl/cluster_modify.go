package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// clusterModifyOptions are the flags of cluster modify.
type clusterModifyOptions struct {
	changeOptions
	storage storageOptions
	disks   diskParams
}

func newClusterModifyCommand(a *app) *cobra.Command {
	opts := clusterModifyOptions{}
	cmd := &cobra.Command{
		Use:   "modify [-S TYPE:OPTION=VALUE,...] [-D TEMPLATE:PARAMETER=VALUE,...]",
		Short: "Change the storage options and disk parameters of the cluster",
		Long: `Changes the storage options that hold for all nodes, as long as there is no storage cluster that was made by them, and
the disk parameters that hold for instances of all groups. A value takes the place of the one before, of an option that
may be repeated all of them; "option=" brings the default back. Disk parameters take effect when an instance is started;
those that say where images are can't change under instances.
` + a.optionHelp() + a.diskParamHelp() + exitStatus,
		Example: `  cephctl cluster modify -S ceph:size=2,min_size=
  cephctl cluster modify -D rbd:access=userspace,pool=vms`,
		Args: rules().NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runClusterModify(cmd.Context(), a, opts)
		},
	}
	opts.storage.register(cmd)
	opts.disks.register(cmd)
	opts.register(cmd)
	return cmd
}

func runClusterModify(ctx context.Context, a *app, opts clusterModifyOptions) error {
	if len(opts.storage) == 0 && len(opts.disks) == 0 {
		return fmt.Errorf("%w: give -S TYPE:option=value or -D TEMPLATE:parameter=value", control.ErrUsage)
	}
	given, err := a.parseStorage(opts.storage)
	if err != nil {
		return err
	}
	params, err := a.parseDiskParams(opts.disks)
	if err != nil {
		return err
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return inventoryChange(env, "cluster-modify", "", "change what holds for the cluster", func(plan *control.Plan, c control.Cluster, _ bool) error {
			err := a.planOptions(env, plan, given, func(t control.StorageType, known state.Storage) bool {
				if known.ID == "" && known.Initialised.IsZero() {
					return true
				}
				plan.Block("", "cluster-modify-initialised", "see what holds: cephctl cluster info",
					"the storage cluster of group %s was made by these options of %s and would not follow them", known.Group, t.Name())
				return false
			})
			return errors.Join(err, a.planDiskParams(env, plan, c, "", params))
		})
	})
}
