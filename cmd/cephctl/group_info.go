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
		Short:             "Show a group, its nodes and the disk parameters that hold in it",
		Long:              "Shows a group, its nodes and the disk parameters that hold in it: its own, the cluster's or the default.\n" + exitStatus,
		Example:           `  cephctl group info default`,
		Args:              arguments(1, 1, "the name of the group"),
		ValidArgsFunction: a.completeGroups,
		RunE:              func(cmd *cobra.Command, args []string) error { return runGroupInfo(cmd.Context(), a, args[0]) },
	}
}

func runGroupInfo(ctx context.Context, a *app, name string) error {
	c, env, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	g, err := findGroup(c, name)
	if err != nil {
		return err
	}
	disks, err := a.templateInfos(env, c, g)
	if err != nil {
		return err
	}
	info := struct {
		groupInfo
		Disks []templateInfo `json:"disks"`
	}{newGroupInfo(c, g), disks}
	return a.print(info, func(w io.Writer) {
		fmt.Fprintf(w, "group %s, storage %s\n\n", g.Name, orDash(g.Mark))
		a.nodeTable(c.Members(name)).write(w)
		a.writeParams(w, disks)
	})
}
