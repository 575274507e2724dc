package main

import (
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newStorageAddClientCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:   "add-client GROUP",
		Short: "Let the nodes of another group use the storage cluster",
		Long: `Gives the online nodes of a group the configuration of the storage cluster and the keys of instances and of the
exporter, and nothing else: no daemon of it runs there, so that their kernels can map its images without the loopback risk. The group is remembered:
nodes that come to it later by "node add" or "group assign-nodes" become clients by that, with the hooks also by gnt-node and
gnt-group, and "cephctl cluster verify" finds those that have come in another way: run this again then. "cephctl storage remove-client" undoes it.

Nothing is overwritten: a node with a configuration of another cluster stops the plan.
` + exitStatus,
		Example: `  cephctl storage add-client --plan compute
  cephctl storage add-client compute`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts, func(env *control.Env) control.Change { return clusterOf(env).AddClient(args[0], "") })
		},
	}
	opts.register(cmd)
	return cmd
}
