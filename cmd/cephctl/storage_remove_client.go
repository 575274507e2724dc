package main

import (
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newStorageRemoveClientCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:   "remove-client GROUP",
		Short: "Take the storage cluster away from the nodes of another group",
		Long: `Undoes "cephctl storage add-client": takes the configuration of the storage cluster and all its keys off the nodes of a
group, and forgets that the group is a client. The exporter on these nodes goes on without the cluster.

It is refused while instances of these nodes have disks in the storage cluster, running or not, and while their kernels have
images of it mapped. What else opens images there, such as a QEMU that neither cephctl nor Ganeti has started, keeps what it
has open. The keys themselves stay valid for the other nodes, and so do copies of them.
` + exitStatus,
		Example: `  cephctl storage remove-client --plan compute
  cephctl storage remove-client compute`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts, func(env *control.Env) control.Change { return clusterOf(env).RemoveClient(args[0], "") })
		},
	}
	opts.register(cmd)
	return cmd
}
