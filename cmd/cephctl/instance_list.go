package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// instanceColumn is a column of instance list.
type instanceColumn struct {
	name string
	cell func(*instance.Info) string
}

func instanceColumns() []instanceColumn {
	return []instanceColumn{
		{"name", func(i *instance.Info) string { return i.Name }},
		{"node", func(i *instance.Info) string { return i.Node }},
		{"state", func(i *instance.Info) string { return i.State }},
		{"memory", func(i *instance.Info) string { return strconv.FormatInt(i.MemoryBytes>>20, 10) + "M" }},
		{"vcpus", func(i *instance.Info) string { return strconv.Itoa(i.VCPUs) }},
		{"disks", func(i *instance.Info) string { return strconv.Itoa(len(i.Disks)) }},
		{"images", func(i *instance.Info) string { return images(i) }},
		{"access", func(i *instance.Info) string { return accesses(i) }},
		{"nics", func(i *instance.Info) string { return strconv.Itoa(len(i.NICs)) }},
		{"process", func(i *instance.Info) string { return orNone(i.PID) }},
		{"accelerator", func(i *instance.Info) string { return i.Accel }},
		{"uuid", func(i *instance.Info) string { return i.UUID }},
		{"problem", func(i *instance.Info) string { return i.Problem }},
	}
}

func images(i *instance.Info) string {
	names := make([]string, len(i.Disks))
	for n := range i.Disks {
		names[n] = i.Disks[n].Image
	}
	return strings.Join(names, ",")
}

// accesses returns the accesses that the disks have at the next start, each once.
func accesses(i *instance.Info) string {
	var all []string
	for _, d := range i.Specs {
		if access := d.Params["access"]; !slices.Contains(all, access) {
			all = append(all, access)
		}
	}
	return strings.Join(all, ",")
}

func orNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func newInstanceListCommand(a *app) *cobra.Command {
	var columns string
	names := make([]string, 0, len(instanceColumns()))
	for _, c := range instanceColumns() {
		names = append(names, c.name)
	}
	cmd := &cobra.Command{
		Use:     "list [--columns COLUMN,...]",
		Short:   "List the instances",
		Long:    "Lists the instances and whether they run. The columns are " + strings.Join(names, ", ") + ".\n" + exitStatus,
		Example: "  cephctl instance list\n  cephctl instance list --columns name,images",
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runInstanceList(cmd.Context(), a, columns) },
	}
	cmd.Flags().StringVar(&columns, "columns", "name,node,state,memory,vcpus,disks,process", "columns to show")
	completeValues(cmd, "columns", names...)
	return cmd
}

func runInstanceList(ctx context.Context, a *app, columns string) error {
	var chosen []instanceColumn
	var heading []string
	for name := range strings.SplitSeq(columns, ",") {
		i := slices.IndexFunc(instanceColumns(), func(c instanceColumn) bool { return c.name == name })
		if i < 0 {
			return fmt.Errorf("%w: --columns: no column is called %q; see --help", control.ErrUsage, name)
		}
		chosen, heading = append(chosen, instanceColumns()[i]), append(heading, strings.ToUpper(name))
	}
	env, err := a.open(false)
	if err != nil {
		return err
	}
	infos, err := a.instances(env).List(ctx, slices.Contains(heading, "IMAGES"))
	if err != nil {
		return err
	}
	t := a.newTable(heading...)
	for _, info := range infos {
		cells := make([]string, len(chosen))
		for i, c := range chosen {
			cells[i] = c.cell(info)
		}
		t.add(cells...)
	}
	return a.print(infos, func(w io.Writer) { t.write(w) })
}
