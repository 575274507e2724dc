package main

import (
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// instanceRemoveOptions are the flags of instance remove.
type instanceRemoveOptions struct {
	changeOptions
	instance.RemoveOptions
}

func newInstanceRemoveCommand(a *app) *cobra.Command {
	opts := instanceRemoveOptions{}
	cmd := &cobra.Command{
		Use:   "remove [--images] [--break-claim] INSTANCE",
		Short: "Remove an instance that does not run",
		Long: `Takes an instance that does not run out of the inventory. Its images stay, unless --images says that those which were
made for it are to be removed with all that is in them.

When its node does not answer, another node looks at the images. As long as the cluster has a client of the instance, it is
refused. A claim that it has left is taken away with --break-claim, which keeps its client out of the cluster first.
` + exitStatus,
		Example: `  cephctl instance remove --images web1
  cephctl instance remove --break-claim web1    # its node is gone`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts.changeOptions, func(env *control.Env) control.Change {
				return a.instances(env).Remove(args[0], opts.RemoveOptions)
			})
		},
	}
	cmd.Flags().BoolVar(&opts.Images, "images", false, "remove the images that were made for it, too")
	cmd.Flags().BoolVar(&opts.BreakClaim, "break-claim", false, breakClaimHelp)
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}
