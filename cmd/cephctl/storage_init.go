package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// storageInitOptions are the flags of storage init-distributed-storage.
type storageInitOptions struct {
	changeOptions
	storage string
}

func newStorageInitCommand(a *app) *cobra.Command {
	opts := storageInitOptions{}
	cmd := &cobra.Command{
		Use:   "init-distributed-storage -s TYPE GROUP",
		Short: "Make a group the storage group, and its nodes a storage cluster",
		Long: `Makes a group the storage group. Every online node of it gets the daemons that it needs and an OSD on each of its
devices; nodes and group are marked. A group without nodes is only marked: the first node added to it makes the cluster.

Nothing is overwritten: a node with a configuration of another cluster, and a device with anything on it, stop the plan
before anything is changed anywhere. Run again, it does what is still lacking.
` + exitStatus,
		Example: `  cephctl storage init-distributed-storage -s ceph --plan default
  cephctl storage init-distributed-storage -s ceph default`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE:              func(cmd *cobra.Command, args []string) error { return runStorageInit(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().StringVarP(&opts.storage, "storage-type", "s", "", "storage type, for example ceph")
	completeValues(cmd, "storage-type", a.storageNames()...)
	opts.register(cmd)
	return cmd
}

func runStorageInit(ctx context.Context, a *app, opts storageInitOptions, group string) error {
	if opts.storage == "" {
		return fmt.Errorf("%w: give the storage type: -s %s", control.ErrUsage, strings.Join(a.storageNames(), " or "))
	}
	if !slices.Contains(a.storageNames(), opts.storage) {
		return fmt.Errorf("%w: no storage type is called %q; there is %s", control.ErrUsage, opts.storage, strings.Join(a.storageNames(), ", "))
	}
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	if _, err := findGroup(c, group); err != nil {
		return err
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change { return clusterOf(env).Init(group, "") })
}

// storageNames are the names of the storage types.
func (a *app) storageNames() []string {
	all := make([]string, len(a.storage))
	for i, t := range a.storage {
		all[i] = t.Name()
	}
	return all
}
