package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// nodeAddOptions are the flags of node add.
type nodeAddOptions struct {
	changeOptions
	group, address string
	readd          bool
}

func newNodeAddCommand(a *app) *cobra.Command {
	opts := nodeAddOptions{}
	cmd := &cobra.Command{
		Use:   "add [--group GROUP] [--address ADDRESS] NODE\n  cephctl node add --readd NODE",
		Short: "Add a node, or bring one back that is offline",
		Long: `Adds a node to a group. In the storage group it gets the daemons that it needs. With --readd a node that is offline
comes back, and in the storage group gets its daemons anew.
` + exitStatus,
		Example: `  cephctl node add --group storage --address 10.0.0.4 node4
  cephctl node add --readd node2`,
		Args:              arguments(1, 1, "the name of the node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runNodeAdd(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().StringVarP(&opts.group, "group", "g", "", "group of the node (default: the only one)")
	cmd.Flags().StringVar(&opts.address, "address", "", "name or IP address by which it is reached (default: its name)")
	cmd.Flags().BoolVar(&opts.readd, "readd", false, "bring back a node that is offline")
	_ = cmd.RegisterFlagCompletionFunc("group", a.completeGroups) // fails without such a flag only
	opts.register(cmd)
	return cmd
}

func runNodeAdd(ctx context.Context, a *app, opts nodeAddOptions, name string) error {
	if err := opts.check(name); err != nil {
		return err
	}
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	if opts.readd {
		return runNodeReadd(ctx, a, opts, c, name)
	}
	group, err := opts.groupOf(c)
	if err != nil {
		return err
	}
	node := control.Node{Name: name, Address: cmp.Or(opts.address, name), Group: group.Name}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		if group.Mark != "" {
			return a.changeNode(env, nodeChange{kind: nodeAdd, storage: group.Mark, node: node})
		}
		return addNode(env, node)
	})
}

func (o *nodeAddOptions) check(name string) error {
	if o.readd && (o.group != "" || o.address != "") {
		return fmt.Errorf("%w: --readd brings a node back as it is in the inventory: leave out --group and --address", control.ErrUsage)
	}
	if o.address != "" {
		if err := checkAddress(o.address); err != nil {
			return err
		}
	}
	return checkName("node", name)
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

// addNode adds a node to a group that has nothing to do with storage.
func addNode(env *control.Env, node control.Node) control.Change {
	return inventoryChange(env, "node-add", node.Name, "add node "+node.Name, func(plan *control.Plan, c control.Cluster, again bool) error {
		if _, known := c.Node(node.Name); known {
			if !again {
				plan.Block(node.Name, "node-exists", "to bring it back: cephctl node add --readd "+node.Name, "is in the inventory already")
			}
			return nil
		}
		add(plan, "add", "put node "+node.Name+" into the inventory", "inventory: node "+node.Name+" at "+node.Address+" in group "+node.Group, func(ctx context.Context) error {
			return env.Inventory.AddNode(ctx, node)
		})
		return nil
	})
}

func runNodeReadd(ctx context.Context, a *app, opts nodeAddOptions, c control.Cluster, name string) error {
	n, err := findNode(c, name)
	if err != nil {
		return err
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		if storage := storageMark(c, n); storage != "" {
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
		add(plan, word, "mark node "+name+" "+word, "inventory: node "+name+" "+word, func(ctx context.Context) error {
			return env.Inventory.SetOffline(ctx, name, offline)
		})
		return nil
	})
}
