package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newGroupInfoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "info GROUP",
		Short:             "Show a group and its nodes",
		Long:              "Shows a group and its nodes.\n" + exitStatus,
		Example:           `  cephctl group info default`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE:              func(cmd *cobra.Command, args []string) error { return runGroupInfo(cmd.Context(), a, args[0]) },
	}
}

func runGroupInfo(ctx context.Context, a *app, name string) error {
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	g, err := findGroup(c, name)
	if err != nil {
		return err
	}
	return a.print(newGroupInfo(c, g), func(w io.Writer) {
		fmt.Fprintf(w, "group %s, storage %s\n\n", g.Name, orDash(g.Mark))
		a.nodeTable(c.Members(name)).write(w)
	})
}
