package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// instanceStopOptions are the flags of instance stop.
type instanceStopOptions struct {
	changeOptions
	instance.StopOptions
}

func newInstanceStopCommand(a *app) *cobra.Command {
	opts := instanceStopOptions{}
	cmd := &cobra.Command{
		Use:   "stop [--timeout TIME] [--node NODE] INSTANCE",
		Short: "Stop an instance",
		Long: `Stops an instance: it is asked to shut down by ACPI. When it has not after the timeout, QEMU is asked to quit, and when
it does not, killed. Then its claims and block devices are given back. With --node it stops what is left on a node that
the instance no longer belongs to: a guest that was kept out when it was started elsewhere.
` + exitStatus,
		Example: `  cephctl instance stop web1
  cephctl instance stop --timeout 0s web1    # do not ask the guest`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE:              func(cmd *cobra.Command, args []string) error { return runInstanceStop(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().DurationVar(&opts.Timeout, "timeout", 2*time.Minute, "what the guest has to shut itself down")
	cmd.Flags().StringVar(&opts.Node, "node", "", "stop it there (default: its node)")
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNodes) // fails without such a flag only
	opts.register(cmd)
	return cmd
}

func runInstanceStop(ctx context.Context, a *app, opts instanceStopOptions, name string) error {
	if opts.Timeout < 0 {
		return fmt.Errorf("%w: --timeout %s: give zero or more", control.ErrUsage, opts.Timeout)
	}
	var stopped guest.Stopped
	return a.changeWith(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return a.instances(env).Stop(name, opts.StopOptions, &stopped)
	}, func(plan *control.Plan) error {
		if len(plan.Steps) == 0 {
			return a.report(plan)
		}
		done := struct {
			*control.Plan
			Changed bool `json:"changed"`
			guest.Stopped
		}{plan, true, stopped}
		return a.print(done, func(w io.Writer) {
			writeNotes(w, plan)
			fmt.Fprintf(w, "%s: done: %s\n", plan.Title, stopped.How)
			writeList(w, "not given back, until it is started or stopped again:", stopped.Left)
		})
	})
}
