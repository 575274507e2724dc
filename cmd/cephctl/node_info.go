package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// nodeInfo is what node info shows.
type nodeInfo struct {
	control.Node
	Master bool          `json:"master"`
	Types  []nodeStorage `json:"storage_types"`
}

// nodeStorage is what holds on a node for a storage type.
type nodeStorage struct {
	Type    string                `json:"type"`
	Options []control.OptionValue `json:"options"`
}

func newNodeInfoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "info NODE",
		Short:             "Show a node and the storage options that hold on it",
		Long:              "Shows a node and the storage options that hold on it: its own, the cluster's or the default.\n" + exitStatus,
		Example:           `  cephctl node info node1`,
		Args:              arguments(1, 1, "the name of the node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runNodeInfo(cmd.Context(), a, args[0]) },
	}
}

func runNodeInfo(ctx context.Context, a *app, name string) error {
	c, env, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	n, err := findNode(c, name)
	if err != nil {
		return err
	}
	s, err := env.Store.Load()
	if err != nil {
		return err
	}
	infos := a.storageInfos(s, name)
	info := nodeInfo{Node: n, Master: c.Master == name, Types: make([]nodeStorage, len(infos))}
	for i, t := range infos {
		info.Types[i] = nodeStorage{Type: t.Type, Options: t.Options}
	}
	return a.print(info, func(w io.Writer) {
		fmt.Fprintf(w, "node %s, %s, group %s, address %s, storage %s\n\n", n.Name, nodeState(n), n.Group, n.Address, orDash(n.Mark))
		a.optionTable(infos).write(w)
	})
}
