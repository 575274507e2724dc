package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// activateDisksOptions are the flags of instance activate-disks.
type activateDisksOptions struct {
	changeOptions
	instance.ActivateOptions
}

func newInstanceActivateDisksCommand(a *app) *cobra.Command {
	opts := activateDisksOptions{}
	cmd := &cobra.Command{
		Use:   "activate-disks [--allow-loopback] INSTANCE",
		Short: "Map the disks of an instance as block devices of its node",
		Long: `Maps the images of an instance as block devices of its node, for administrators and OS scripts. Who writes to one while
the instance runs destroys what is on it. On a node whose OSDs serve the images it may hang the node: that is refused,
unless --allow-loopback is given. See docs/loopback.md.
` + exitStatus,
		Example:           `  cephctl instance activate-disks web1`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runActivateDisks(cmd.Context(), a, opts, args[0])
		},
	}
	cmd.Flags().BoolVar(&opts.AllowLoopback, "allow-loopback", false, allowLoopbackHelp)
	opts.register(cmd)
	return cmd
}

func runActivateDisks(ctx context.Context, a *app, opts activateDisksOptions, name string) error {
	var devices []string
	return a.changeWith(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return a.instances(env).Activate(name, opts.ActivateOptions, &devices)
	}, func(plan *control.Plan) error {
		if len(plan.Steps) == 0 {
			return a.report(plan)
		}
		done := struct {
			*control.Plan
			Changed bool     `json:"changed"`
			Devices []string `json:"devices"`
		}{plan, true, devices}
		return a.print(done, func(w io.Writer) {
			writeNotes(w, plan)
			fmt.Fprintf(w, "%s: done\n", plan.Title)
			for i, device := range devices {
				fmt.Fprintf(w, "  disk %d: %s\n", i, device)
			}
		})
	})
}

func newInstanceDeactivateDisksCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:               "deactivate-disks INSTANCE",
		Short:             "Take the block devices of an instance away",
		Long:              "Takes the block devices away that the images of an instance are mapped as on its node. The instance must not run.\n" + exitStatus,
		Example:           `  cephctl instance deactivate-disks web1`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts, func(env *control.Env) control.Change { return a.instances(env).Deactivate(args[0]) })
		},
	}
	opts.register(cmd)
	return cmd
}
