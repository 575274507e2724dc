package main

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// groupInfo is what is shown of a group.
type groupInfo struct {
	control.Group
	Nodes []string `json:"nodes"`
}

func newGroupInfo(c control.Cluster, g control.Group) groupInfo {
	return groupInfo{Group: g, Nodes: names(c.Members(g.Name))}
}

func newGroupListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the groups",
		Long:    "Lists the groups with their nodes and the storage type that they are enabled for.\n" + exitStatus,
		Example: `  cephctl group list`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runGroupList(cmd.Context(), a) },
	}
}

func runGroupList(ctx context.Context, a *app) error {
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	groups := make([]groupInfo, len(c.Groups))
	t := a.newTable("GROUP", "NODES", "STORAGE")
	for i, g := range c.Groups {
		groups[i] = newGroupInfo(c, g)
		t.add(g.Name, strconv.Itoa(len(groups[i].Nodes)), g.Mark)
	}
	return a.print(groups, func(w io.Writer) { t.write(w) })
}
