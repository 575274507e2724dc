package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

func newGroupAssignNodesCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:   "assign-nodes GROUP NODE...",
		Short: "Move nodes into a group",
		Long: `Moves nodes into a group. A node goes into the storage group offline, and leaves it when it carries no daemons any more.
Into a group of clients ("storage add-client") it goes online or offline, and becomes a client when it is online. Else nothing
is configured on it, and it keeps what it has.
` + exitStatus,
		Example:           `  cephctl group assign-nodes storage node4 node5`,
		Args:              arguments(2, 0, "the name of the group and those of the nodes"),
		ValidArgsFunction: a.completeGroupNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runGroupAssignNodes(cmd.Context(), a, opts, args[0], args[1:])
		},
	}
	opts.register(cmd)
	return cmd
}

func runGroupAssignNodes(ctx context.Context, a *app, opts changeOptions, group string, nodes []string) error {
	c, st, err := a.remembered(ctx)
	if err != nil {
		return err
	}
	to, err := findGroup(c, group)
	if err != nil {
		return err
	}
	storage := cmp.Or(storageOfGroup(c, to.Name, st), storageOfClients(to.Name, st))
	for _, name := range nodes {
		n, err := findNode(c, name)
		if err != nil {
			return err
		}
		if storage == "" {
			storage = cmp.Or(storageOfNode(c, n, st), storageOfClients(n.Group, st))
		}
	}
	return a.change(ctx, opts, func(env *control.Env) control.Change {
		if storage != "" {
			return a.changeNode(env, nodeChange{kind: nodeAssign, storage: storage, group: group, nodes: nodes})
		}
		return assignNodes(env, group, nodes)
	})
}

// storageOfGroup returns the storage type of a group: as it is marked, or else as cephctl remembers, as anybody can take
// marks away.
func storageOfGroup(c control.Cluster, name string, st *state.State) string {
	if g, _ := c.Group(name); g.Mark != "" {
		return g.Mark
	}
	for storage, known := range st.Storage {
		if known.Group == name && name != "" {
			return storage
		}
	}
	return ""
}

// storageOfClients returns the storage type that the nodes of a group use without being part of it.
func storageOfClients(group string, st *state.State) string {
	for storage, known := range st.Storage {
		if slices.Contains(known.Clients, group) {
			return storage
		}
	}
	return ""
}

// storageOfNode returns the storage type that a node has to do with, like storageOfGroup.
func storageOfNode(c control.Cluster, n control.Node, st *state.State) string {
	return cmp.Or(n.Mark, storageOfGroup(c, n.Group, st))
}

// assignNodes moves nodes that have nothing to do with storage.
func assignNodes(env *control.Env, group string, nodes []string) control.Change {
	return inventoryChange(env, "assign-nodes", group, "assign nodes to group "+group, func(plan *control.Plan, c control.Cluster, _ bool) error {
		var moved []string
		for _, name := range nodes {
			if n, ok := c.Node(name); ok && n.Group != group {
				moved = append(moved, name)
			}
		}
		if len(moved) == 0 {
			return nil
		}
		list := strings.Join(moved, ", ")
		add(plan, "assign", "move "+list+" to group "+group, "inventory: "+list+" in group "+group, func(ctx context.Context) error {
			return env.Inventory.AssignNodes(ctx, group, moved...)
		})
		return nil
	})
}
