package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

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
	size int
}

func newPoolCreateCommand(a *app) *cobra.Command {
	opts := poolCreateOptions{}
	cmd := &cobra.Command{
		Use:     "create [--size N] POOL",
		Short:   "Make a pool for images",
		Long:    "Makes a pool for RBD images. Copies are kept on different hosts, or on different OSDs while there are too few hosts.\n" + exitStatus,
		Example: `  cephctl pool create --size 2 scratch`,
		Args:    arguments(1, 1, "the name of the pool"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("size") && opts.size < 1 {
				return fmt.Errorf("%w: --size %d: give a number over zero", control.ErrUsage, opts.size)
			}
			return a.change(cmd.Context(), opts.changeOptions, func(env *control.Env) control.Change {
				return clusterOf(env).CreatePool(args[0], "", poolOptions{Size: opts.size})
			})
		},
	}
	cmd.Flags().IntVar(&opts.size, "size", 0, "copies of everything (default: as the storage options say)")
	opts.register(cmd)
	return cmd
}

func newPoolListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the pools",
		Long:    "Lists the pools with their copies and failure domain.\n" + exitStatus,
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
		t := a.newTable("POOL", "SIZE", "MIN SIZE", "COPIES ON DIFFERENT", "RBD")
		for _, p := range pools {
			t.add(p.Name, strconv.Itoa(p.Size), strconv.Itoa(p.MinSize), p.Domain, yesNo(p.RBD))
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
		Long:    "Removes a pool for RBD images. It refuses while images exist.\n" + exitStatus,
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
