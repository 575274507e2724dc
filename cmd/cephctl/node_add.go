package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// nodeAddOptions are the flags of node add.
type nodeAddOptions struct {
	changeOptions
	storage        storageOptions
	group, address string
	readd          bool
}

func newNodeAddCommand(a *app) *cobra.Command {
	opts := nodeAddOptions{}
	cmd := &cobra.Command{
		Use:   "add [--group GROUP] [--address ADDRESS] [-S TYPE:OPTION=VALUE,...] NODE\n  cephctl node add --readd NODE",
		Short: "Add a node, or bring one back that is offline",
		Long: `Adds a node to a group. In the storage group it gets the daemons that it needs. With --readd a node that is offline
comes back, and in the storage group gets its daemons anew. In a group of clients ("storage add-client") it becomes a client. With -S it gets storage options of its own, such as other
disks than the rest.
` + a.optionHelp() + exitStatus,
		Example: `  cephctl node add --group storage --address 10.0.0.4 node4
  cephctl node add -S ceph:disk=/dev/vdb,disk=/dev/vdc node5
  cephctl node add --readd node2`,
		Args:              arguments(1, 1, "the name of the node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runNodeAdd(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().StringVarP(&opts.group, "group", "g", "", "group of the node (default: the only one)")
	cmd.Flags().StringVar(&opts.address, "address", "", "name or IP address by which it is reached (default: its name)")
	cmd.Flags().BoolVar(&opts.readd, "readd", false, "bring back a node that is offline")
	_ = cmd.RegisterFlagCompletionFunc("group", a.completeGroups) // fails without such a flag only
	opts.storage.register(cmd)
	opts.register(cmd)
	return cmd
}

func runNodeAdd(ctx context.Context, a *app, opts nodeAddOptions, name string) error {
	given, err := opts.check(a, name)
	if err != nil {
		return err
	}
	c, st, err := a.remembered(ctx)
	if err != nil {
		return err
	}
	if opts.readd {
		return runNodeReadd(ctx, a, opts, c, st, name)
	}
	if err := a.checkFullName(c, name); err != nil {
		return err
	}
	group, err := opts.groupOf(c)
	if err != nil {
		return err
	}
	for storage := range given {
		if group.Mark != "" && storage != group.Mark {
			return fmt.Errorf("%w: group %s is enabled for %s: leave out the storage options of %s", control.ErrUsage, group.Name, group.Mark, storage)
		}
	}
	node := control.Node{Name: name, Address: cmp.Or(opts.address, name), Group: group.Name}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		if storage := cmp.Or(group.Mark, storageOfClients(group.Name, st)); storage != "" {
			return a.changeNode(env, nodeChange{kind: nodeAdd, storage: storage, node: node, options: given[storage]})
		}
		return a.addNode(env, node, given)
	})
}

// check checks the flags, and returns the storage options that were given.
func (o *nodeAddOptions) check(a *app, name string) (map[string]control.Values, error) {
	switch {
	case o.readd && (o.group != "" || o.address != ""):
		return nil, fmt.Errorf("%w: --readd brings a node back as it is in the inventory: leave out --group and --address", control.ErrUsage)
	case o.readd && len(o.storage) > 0:
		return nil, fmt.Errorf("%w: --readd brings a node back as it is in the inventory: change its options first, cephctl node modify -S", control.ErrUsage)
	}
	if o.address != "" {
		if err := checkAddress(o.address); err != nil {
			return nil, err
		}
	}
	if err := checkName("node", name); err != nil {
		return nil, err
	}
	given, err := a.parseStorage(o.storage)
	if err != nil {
		return nil, err
	}
	return given, a.checkPerNode(given)
}

// checkFullName wants the name of a new node as Ganeti is going to write it: with a domain, where its nodes have one. By another,
// what is done with the node next would not find it.
func (a *app) checkFullName(c control.Cluster, name string) error {
	site, err := a.config.site()
	if err != nil || site == nil || strings.Contains(name, ".") {
		return err
	}
	_, domain, full := strings.Cut(site.Master, ".")
	if _, known := c.Node(name); known || !full { // one that is known is told of as such
		return nil
	}
	return fmt.Errorf("%w: node %s: Ganeti's nodes have full names: %s.%s", control.ErrUsage, name, name, domain)
}

// groupOf returns the group that a new node comes into.
func (o *nodeAddOptions) groupOf(c control.Cluster) (control.Group, error) {
	switch {
	case o.group != "":
		return findGroup(c, o.group)
	case len(c.Groups) == 1:
		return c.Groups[0], nil
	}
	return control.Group{}, fmt.Errorf("%w: there are %d groups: give --group", control.ErrUsage, len(c.Groups))
}

// addNode adds a node, with storage options of its own, to a group that has nothing to do with storage.
func (a *app) addNode(env *control.Env, node control.Node, options map[string]control.Values) control.Change {
	return inventoryChange(env, "node-add", node.Name, "add node "+node.Name, func(plan *control.Plan, c control.Cluster, again bool) error {
		_, known := c.Node(node.Name)
		if known && !again {
			plan.Block(node.Name, "node-exists", "to bring it back: cephctl node add --readd "+node.Name, "is in the inventory already")
			return nil
		}
		if !known {
			add(plan, "add", "put node "+node.Name+" into the inventory", "inventory: node "+node.Name+" at "+node.Address+" in group "+node.Group, func(ctx context.Context) error {
				return env.Inventory.AddNode(ctx, node)
			})
		}
		for _, t := range a.storage {
			if own := options[t.Name()]; len(own) > 0 {
				if err := addNodeOptions(plan, env, t, node.Name, own); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func runNodeReadd(ctx context.Context, a *app, opts nodeAddOptions, c control.Cluster, st *state.State, name string) error {
	n, err := findNode(c, name)
	if err != nil {
		return err
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		if storage := cmp.Or(storageOfNode(c, n, st), storageOfClients(n.Group, st)); storage != "" {
			return a.changeNode(env, nodeChange{kind: nodeReadd, storage: storage, node: n})
		}
		return setOffline(env, "node-readd", name, false)
	})
}

// setOffline marks a node that has nothing to do with storage offline or online.
func setOffline(env *control.Env, kind, name string, offline bool) control.Change {
	word := "online"
	if offline {
		word = "offline"
	}
	return inventoryChange(env, kind, name, "mark node "+name+" "+word, func(plan *control.Plan, c control.Cluster, _ bool) error {
		n, err := findNode(c, name)
		if err != nil || n.Offline == offline {
			return err
		}
		if offline {
			plan.KeepMaster(c, name)
		}
		add(plan, word, "mark node "+name+" "+word, "inventory: node "+name+" "+word, func(ctx context.Context) error {
			return env.Inventory.SetOffline(ctx, name, offline)
		})
		return nil
	})
}
