package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// instanceStartOptions are the flags of instance start.
type instanceStartOptions struct {
	changeOptions
	instance.StartOptions
}

func newInstanceStartCommand(a *app) *cobra.Command {
	opts := instanceStartOptions{}
	cmd := &cobra.Command{
		Use:   "start [--access ACCESS] [--node NODE] [--map] [--allow-loopback] [--break-claim] INSTANCE",
		Short: "Start an instance",
		Long: `Starts an instance on its node, or with --node on another, where it stays. Its images are claimed first, so that
nobody else starts anything with them; who was faster is named. It is started when QEMU answers and says that every disk
is open as it is to be; otherwise nothing is left of it. It runs with KVM where that works, and else, slowly, with TCG.

Where the kernel would write to images that OSDs of the same node serve, with access=kernelspace or --map, the node may
hang: that is refused, with the ways out, unless --allow-loopback is given. See docs/loopback.md.

A claim that a dead guest has left is taken away when its node can tell that it is dead. When nobody can be asked,
--break-claim keeps its client out of the cluster first: what that has not yet written is lost.

With --access, the group of its node gets that access first: it holds for all of the group's instances from their next
start on. An instance of a Ganeti cluster is started by Ganeti, on its node; then QEMU and the watchers of its images are
asked whether each disk is open as it is to be.
` + exitStatus,
		Example: `  cephctl instance start web1
  cephctl instance start --plan --access userspace web1
  cephctl instance start --node node2 --break-claim web1`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInstanceStart(cmd.Context(), a, opts, args[0])
		},
	}
	cmd.Flags().StringVar(&opts.Access, "access", "", "userspace or kernelspace, for the group of its node (default: what holds there)")
	completeValues(cmd, "access", "userspace", "kernelspace")
	cmd.Flags().StringVar(&opts.Node, "node", "", "start it there, and keep it there (default: its node)")
	cmd.Flags().BoolVar(&opts.Map, "map", false, "map the images as local block devices, too")
	cmd.Flags().BoolVar(&opts.AllowLoopback, "allow-loopback", false, allowLoopbackHelp)
	cmd.Flags().BoolVar(&opts.BreakClaim, "break-claim", false, breakClaimHelp)
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNodes) // fails without such a flag only
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}

// The help of flags that several commands have.
const (
	allowLoopbackHelp = "let the kernel write to images that OSDs of the same node serve, though the node may hang"
	breakClaimHelp    = "take claims away whose holders can't be asked, and keep their clients out of the cluster"
)

// checkAccess refuses what no disk template takes as access.
func (a *app) checkAccess(access string) error {
	if access == "" {
		return nil
	}
	for _, t := range a.diskTemplates() {
		if o, ok := control.FindOption(t, "access"); ok && o.Check != nil {
			if err := o.Check(access); err != nil {
				return fmt.Errorf("%w: --access %s: %w", control.ErrUsage, access, err)
			}
		}
	}
	return nil
}

// instanceStarted is what is told of an instance that has started.
type instanceStarted struct {
	*control.Plan
	Changed bool        `json:"changed"`
	Guest   *kvm.Status `json:"guest,omitempty"`
}

func runInstanceStart(ctx context.Context, a *app, opts instanceStartOptions, name string) error {
	if err := a.checkAccess(opts.Access); err != nil {
		return err
	}
	var status kvm.Status
	return a.changeWith(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return a.instances(env).Start(name, opts.StartOptions, &status)
	}, func(plan *control.Plan) error {
		if len(plan.Steps) == 0 {
			return a.report(plan)
		}
		return a.print(instanceStarted{plan, true, &status}, func(w io.Writer) {
			writeNotes(w, plan)
			fmt.Fprintf(w, "%s: done, process %d, %s\n", plan.Title, status.PID, accelText(status.Accel))
		})
	})
}

// accelText says how a guest's processors are made.
func accelText(accel string) string {
	if accel == "tcg" {
		return "TCG: slow, as KVM does not work there"
	}
	return "KVM"
}
