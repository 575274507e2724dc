package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newNodeListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the nodes",
		Long:    "Lists the nodes with their group, address, state and the storage type that they are enabled for.\n" + exitStatus,
		Example: `  cephctl node list`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runNodeList(cmd.Context(), a) },
	}
}

func runNodeList(ctx context.Context, a *app) error {
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	nodes := append([]control.Node{}, c.Nodes...) // an empty list, not null
	return a.print(nodes, func(w io.Writer) { a.nodeTable(nodes).write(w) })
}

func (a *app) nodeTable(nodes []control.Node) *table {
	t := a.newTable("NODE", "GROUP", "ADDRESS", "STATE", "STORAGE")
	for _, n := range nodes {
		t.add(n.Name, n.Group, n.Address, nodeState(n), n.Mark)
	}
	return t
}

func nodeState(n control.Node) string {
	if n.Offline {
		return "offline"
	}
	return "online"
}
