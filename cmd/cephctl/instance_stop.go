package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// instanceStopOptions are the flags of instance stop.
type instanceStopOptions struct {
	changeOptions
	timeout time.Duration
}

func newInstanceStopCommand(a *app) *cobra.Command {
	opts := instanceStopOptions{}
	cmd := &cobra.Command{
		Use:   "stop [--timeout TIME] INSTANCE",
		Short: "Stop an instance",
		Long: `Stops an instance: it is asked to shut down by ACPI. When it has not after the timeout, QEMU is asked to quit, and when
it does not, killed. Then its claims and block devices are given back.
` + exitStatus,
		Example: `  cephctl instance stop web1
  cephctl instance stop --timeout 0s web1    # do not ask the guest`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE:              func(cmd *cobra.Command, args []string) error { return runInstanceStop(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().DurationVar(&opts.timeout, "timeout", 2*time.Minute, "what the guest has to shut itself down")
	opts.register(cmd)
	return cmd
}

func runInstanceStop(ctx context.Context, a *app, opts instanceStopOptions, name string) error {
	if opts.timeout < 0 {
		return fmt.Errorf("%w: --timeout %s: give zero or more", control.ErrUsage, opts.timeout)
	}
	var stopped guest.Stopped
	return a.changeWith(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return a.instances(env).Stop(name, opts.timeout, &stopped)
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
			writeList(w, "not given back, which the next start does:", stopped.Left)
		})
	})
}
