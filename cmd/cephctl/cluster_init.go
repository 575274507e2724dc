package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// clusterInitOptions are the flags of cluster init.
type clusterInitOptions struct {
	changeOptions
	storage storageOptions
	name    string
}

func newClusterInitCommand(a *app) *cobra.Command {
	opts := clusterInitOptions{}
	cmd := &cobra.Command{
		Use:   "init [-S TYPE:OPTION=VALUE,...]... [--name NAME]",
		Short: "Store the storage options of the cluster",
		Long: `Stores the storage options that hold for all nodes. Nothing is changed on any node: that begins with the storage
group. An option may be repeated where it says so; a comma that belongs to a value has a backslash before it.
` + a.optionHelp() + exitStatus,
		Example: `  cephctl cluster init -S ceph:disk=/dev/sdb,disk=/dev/sdc,public_network=10.0.0.0/24 --name lab`,
		Args:    rules().NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runClusterInit(cmd.Context(), a, opts)
		},
	}
	opts.storage.register(cmd)
	cmd.Flags().StringVar(&opts.name, "name", "", "name of the cluster")
	opts.register(cmd)
	return cmd
}

// namer is an inventory that lets the cluster be named.
type namer interface {
	SetName(ctx context.Context, name string) error
}

func runClusterInit(ctx context.Context, a *app, opts clusterInitOptions) error {
	if len(opts.storage) == 0 && opts.name == "" {
		return fmt.Errorf("%w: give -S TYPE:option=value or --name", control.ErrUsage)
	}
	given, err := a.parseStorage(opts.storage)
	if err != nil {
		return err
	}
	if opts.name != "" {
		if err := checkName("cluster", opts.name); err != nil {
			return err
		}
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return inventoryChange(env, "cluster-init", "", "initialise the cluster", func(plan *control.Plan, c control.Cluster, again bool) error {
			return errors.Join(
				a.planOptions(env, plan, given, func(t control.StorageType, known state.Storage) bool {
					if again || len(known.Options) == 0 {
						return true
					}
					plan.Block("", "cluster-init-exists", "change them: cephctl cluster modify -S", "there are storage options of %s already", t.Name())
					return false
				}),
				planName(env, plan, c, opts.name),
			)
		})
	})
}

// planName plans to name the cluster.
func planName(env *control.Env, plan *control.Plan, c control.Cluster, name string) error {
	inventory, ok := env.Inventory.(namer)
	switch {
	case name == "" || name == c.Name:
		return nil
	case !ok:
		return fmt.Errorf("%w: --name: this inventory has a name of its own", control.ErrUsage)
	case c.Name != "":
		plan.Block("", "cluster-init-named", "leave out --name", "the cluster is called %s already", c.Name)
	}
	add(plan, "name", "name the cluster "+name, "inventory: cluster "+name, func(ctx context.Context) error {
		return inventory.SetName(ctx, name)
	})
	return nil
}

// planOptions plans to store options of the cluster, of each type that may take them.
func (a *app) planOptions(
	env *control.Env, plan *control.Plan, given map[string]control.Values,
	may func(control.StorageType, state.Storage) bool,
) error {
	s, err := env.Store.Load()
	if err != nil {
		return err
	}
	for _, t := range a.storage {
		known := storageOf(s, t.Name())
		merged := control.Merge(known.Options, given[t.Name()])
		if equalValues(known.Options, merged) || !may(t, known) {
			continue
		}
		if err := checkTogether(t, merged, known.Nodes); err != nil {
			return err
		}
		add(plan, "options "+t.Name(), "store the storage options of "+t.Name(), sentence("all nodes", t, merged), func(context.Context) error {
			return storeStorage(env.Store, t.Name(), func(s *state.Storage) { s.Options = merged })
		})
	}
	return nil
}
