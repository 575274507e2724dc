package main

import (
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// instanceRemoveOptions are the flags of instance remove.
type instanceRemoveOptions struct {
	changeOptions
	images bool
}

func newInstanceRemoveCommand(a *app) *cobra.Command {
	opts := instanceRemoveOptions{}
	cmd := &cobra.Command{
		Use:   "remove [--images] INSTANCE",
		Short: "Remove an instance that does not run",
		Long: `Takes an instance that does not run out of the inventory. Its images stay, unless --images says that those which were
made for it are to be removed with all that is in them.
` + exitStatus,
		Example:           `  cephctl instance remove --images web1`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts.changeOptions, func(env *control.Env) control.Change {
				return a.instances(env).Remove(args[0], opts.images)
			})
		},
	}
	cmd.Flags().BoolVar(&opts.images, "images", false, "remove the images that were made for it, too")
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}
