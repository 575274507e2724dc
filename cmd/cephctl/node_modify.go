package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// nodeModifyOptions are the flags of node modify.
type nodeModifyOptions struct {
	changeOptions
	storage storageOptions
	offline string
	noDrain bool
}

func newNodeModifyCommand(a *app) *cobra.Command {
	opts := nodeModifyOptions{}
	cmd := &cobra.Command{
		Use:   "modify {--offline=yes|no | -S TYPE:OPTION=VALUE,...} NODE",
		Short: "Take a node offline, or give it storage options of its own",
		Long: `With --offline=yes a node is marked offline; in the storage group its daemons are stopped and removed first, when that
is safe. A node of the storage group comes back by node add --readd. With -S a node gets storage options of its own;
"option=" brings the cluster's back.
` + a.optionHelp() + exitStatus,
		Example: `  cephctl node modify --offline=yes node3
  cephctl node modify -S ceph:disk=/dev/vdb,disk=/dev/vdc node3`,
		Args:              arguments(1, 1, "the name of the node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runNodeModify(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().StringVar(&opts.offline, "offline", "", "yes or no")
	cmd.Flags().BoolVar(&opts.noDrain, "no-drain", false, "with --offline=yes: do not wait until the node's data is elsewhere too")
	completeValues(cmd, "offline", "yes", "no")
	opts.storage.register(cmd)
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}

func runNodeModify(ctx context.Context, a *app, opts nodeModifyOptions, name string) error {
	given, err := opts.check(a)
	if err != nil {
		return err
	}
	c, st, err := a.remembered(ctx)
	if err != nil {
		return err
	}
	n, err := findNode(c, name)
	if err != nil {
		return err
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		storage := storageOfNode(c, n, st)
		switch {
		case len(given) > 0:
			return a.nodeOptions(env, name, given)
		case opts.offline == "no":
			return setOnline(env, name)
		case storage != "":
			return a.changeNode(env, nodeChange{kind: nodeOffline, storage: storage, node: n, noDrain: opts.noDrain})
		}
		return setOffline(env, "offline", name, true)
	})
}

// check checks the flags, and returns the storage options that were given.
func (o *nodeModifyOptions) check(a *app) (map[string]control.Values, error) {
	switch {
	case (o.offline == "") == (len(o.storage) == 0):
		return nil, fmt.Errorf("%w: give one of --offline=yes, --offline=no and -S", control.ErrUsage)
	case o.offline != "" && o.offline != "yes" && o.offline != "no":
		return nil, fmt.Errorf("%w: --offline %q: give yes or no", control.ErrUsage, o.offline)
	case o.noDrain && o.offline != "yes":
		return nil, fmt.Errorf("%w: --no-drain goes with --offline=yes", control.ErrUsage)
	}
	given, err := a.parseStorage(o.storage)
	if err != nil {
		return nil, err
	}
	return given, a.checkPerNode(given)
}

// checkPerNode refuses options that hold for the whole cluster.
func (a *app) checkPerNode(given map[string]control.Values) error {
	var wrong []error
	for _, t := range a.storage {
		for _, o := range t.Options() {
			if _, ok := given[t.Name()][o.Name]; ok && !o.PerNode {
				wrong = append(wrong, fmt.Errorf("%s:%s holds for the whole cluster: cephctl cluster modify -S", t.Name(), o.Name))
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: storage options:\n%w", control.ErrUsage, errors.Join(wrong...))
	}
	return nil
}

// setOnline marks a node online. One of the storage group has to become a member of the storage cluster again.
func setOnline(env *control.Env, name string) control.Change {
	change := setOffline(env, "online", name, false)
	plain := change.Plan
	change.Plan = func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
		plan, err := plain(ctx, memory)
		if err != nil || len(plan.Steps) == 0 {
			return plan, err
		}
		c, err := env.Inventory.Cluster(ctx)
		if err != nil {
			return nil, err
		}
		st, err := env.Store.Load()
		if err != nil {
			return nil, err
		}
		if n, _ := c.Node(name); storageOfNode(c, n, st) != "" {
			plan.Block(name, "node-online", "cephctl node add --readd "+name, "a node of the storage group comes back with its daemons")
		}
		return plan, nil
	}
	return change
}

// nodeOptions gives a node storage options of its own.
func (a *app) nodeOptions(env *control.Env, name string, given map[string]control.Values) control.Change {
	return inventoryChange(env, "node-options", name, "change the storage options of node "+name, func(plan *control.Plan, c control.Cluster, _ bool) error {
		n, err := findNode(c, name)
		if err != nil {
			return err
		}
		s, err := env.Store.Load()
		if err != nil {
			return err
		}
		for _, t := range a.storage {
			known := storageOf(s, t.Name())
			merged := control.Merge(known.Nodes[name], given[t.Name()])
			if equalValues(known.Nodes[name], merged) {
				continue
			}
			before, after := control.Resolve(t, known.Options, known.Nodes[name]), control.Resolve(t, known.Options, merged)
			switch {
			case n.Mark != t.Name():
			case control.Follows(t, before, after):
				plan.Note("cephctl storage init-distributed-storage -s %s %s uses what %s has got", t.Name(), n.Group, name)
			default:
				plan.Block(name, "node-options-in-use", "take it offline first: cephctl node modify --offline=yes "+name, "its daemons were made by these options of %s", t.Name())
			}
			if err := addNodeOptions(plan, env, t, name, merged); err != nil {
				return err
			}
		}
		return nil
	})
}

// addNodeOptions adds a step that gives a node storage options of its own. The error says that they do not agree.
func addNodeOptions(plan *control.Plan, env *control.Env, t control.StorageType, name string, options control.Values) error {
	s, err := env.Store.Load()
	if err != nil {
		return err
	}
	if err := checkTogether(t, storageOf(s, t.Name()).Options, map[string]map[string][]string{name: options}); err != nil {
		return err
	}
	add(plan, "options "+t.Name(), "store the storage options of "+name, sentence(name, t, options), func(context.Context) error {
		return storeStorage(env.Store, t.Name(), func(s *state.Storage) { s.SetNode(name, options) })
	})
	return nil
}
