package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newPoolCommand(a *app) *cobra.Command {
	return newNoun("pool", "Pools of the storage cluster for the images of instances",
		newPoolCreateCommand(a), newPoolListCommand(a), newPoolRemoveCommand(a))
}

// poolCreateOptions are the flags of pool create.
type poolCreateOptions struct {
	changeOptions
	size  int
	nodes []string
	group string
}

func newPoolCreateCommand(a *app) *cobra.Command {
	opts := poolCreateOptions{}
	cmd := &cobra.Command{
		Use:   "create [--size N] [--on-nodes NODE,… | --on-group GROUP] POOL",
		Short: "Make a pool for images",
		Long: `Makes a pool for RBD images. Copies are kept on different hosts, or on different OSDs while there are too few hosts.

With --on-nodes or --on-group its data is on the OSDs of these nodes only, so that the kernels of the others can map its
images without the loopback risk. The OSDs of these nodes get a device class of their own, and the pool a CRUSH rule that
takes it: nothing that is stored moves. The nodes of two such pools are the same, or have none in common.
` + exitStatus,
		Example: `  cephctl pool create --size 2 scratch
  cephctl pool create --size 2 --on-nodes node1,node2 --plan near`,
		Args: arguments(1, 1, "the name of the pool"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("size") && opts.size < 1 {
				return fmt.Errorf("%w: --size %d: give a number over zero", control.ErrUsage, opts.size)
			}
			if opts.group != "" && len(opts.nodes) > 0 {
				return fmt.Errorf("%w: give --on-nodes or --on-group, not both", control.ErrUsage)
			}
			return a.change(cmd.Context(), opts.changeOptions, func(env *control.Env) control.Change {
				return clusterOf(env).CreatePool(args[0], "", poolOptions{Size: opts.size, Nodes: opts.nodes, Group: opts.group})
			})
		},
	}
	cmd.Flags().IntVar(&opts.size, "size", 0, "copies of everything (default: as the storage options say)")
	cmd.Flags().StringSliceVar(&opts.nodes, "on-nodes", nil, "keep it on the OSDs of these nodes")
	cmd.Flags().StringVar(&opts.group, "on-group", "", "keep it on the OSDs of the nodes that this group has now")
	_ = cmd.RegisterFlagCompletionFunc("on-nodes", a.completeNodes) // these fail without such a flag only
	_ = cmd.RegisterFlagCompletionFunc("on-group", a.completeGroups)
	opts.register(cmd)
	return cmd
}

func newPoolListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the pools",
		Long:    "Lists the pools with their copies, failure domain, and the hosts that they can be on.\n" + exitStatus,
		Example: `  cephctl pool list`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runPoolList(cmd.Context(), a) },
	}
}

func runPoolList(ctx context.Context, a *app) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	pools, err := clusterOf(env).Pools(ctx)
	if err != nil {
		return err
	}
	return a.print(pools, func(w io.Writer) {
		t := a.newTable("POOL", "SIZE", "MIN SIZE", "COPIES ON DIFFERENT", "RBD", "NODES")
		for _, p := range pools {
			t.add(p.Name, strconv.Itoa(p.Size), strconv.Itoa(p.MinSize), p.Domain, yesNo(p.RBD), strings.Join(p.Hosts, ", "))
		}
		t.write(w)
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func newPoolRemoveCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:     "remove POOL",
		Short:   "Remove a pool without images",
		Long:    "Removes a pool for RBD images. It refuses while images exist. A CRUSH rule that was made for it goes with it.\n" + exitStatus,
		Example: `  cephctl pool remove --yes scratch`,
		Args:    arguments(1, 1, "the name of the pool"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), opts, func(env *control.Env) control.Change {
				return clusterOf(env).RemovePool(args[0], "")
			})
		},
	}
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}
