package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// clusterInfo is what cluster info shows.
type clusterInfo struct {
	Name   string `json:"name"`
	Master string `json:"master"`
	Groups int    `json:"groups"`
	Nodes  int    `json:"nodes"`
	// Pending is the command that goes on with what was begun and not finished.
	Pending string        `json:"pending,omitempty"`
	Storage []storageInfo `json:"storage"`
	// Disks are the disk parameters of the cluster.
	Disks []templateInfo `json:"disks"`
}

func newClusterInfoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "info",
		Short:   "Show all storage options and disk parameters and where they come from",
		Long:    "Shows all storage options and disk parameters with what holds for the cluster: what was given, or the default.\n" + exitStatus,
		Example: `  cephctl cluster info -o json`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runClusterInfo(cmd.Context(), a) },
	}
}

func runClusterInfo(ctx context.Context, a *app) error {
	c, env, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	s, err := env.Store.Load()
	if err != nil {
		return err
	}
	info := clusterInfo{Name: c.Name, Master: c.Master, Groups: len(c.Groups), Nodes: len(c.Nodes), Storage: a.storageInfos(s, "")}
	if info.Disks, err = a.templateInfos(env, c, control.Group{}); err != nil {
		return err
	}
	if s.Operation != nil {
		info.Pending = s.Operation.Command
	}
	return a.print(info, func(w io.Writer) {
		fmt.Fprintf(w, "cluster %s: %d groups, %d nodes\n", orDash(c.Name), info.Groups, info.Nodes)
		for _, t := range info.Storage {
			fmt.Fprintf(w, "storage %s: %s\n", t.Type, t.status())
		}
		if info.Pending != "" {
			fmt.Fprintf(w, "begun and not finished, to go on: %s\n", info.Pending)
		}
		fmt.Fprintln(w)
		a.optionTable(info.Storage).write(w)
		a.writeParams(w, info.Disks)
	})
}

// status says how far the storage cluster is.
func (i storageInfo) status() string {
	switch {
	case i.Group == "":
		return "no storage group"
	case !i.Initialised:
		return "group " + i.Group + ", not initialised"
	}
	return "group " + i.Group + ", " + i.ID
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
