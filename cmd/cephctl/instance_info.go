package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

func newInstanceInfoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "info INSTANCE",
		Short: "Show an instance and its disks",
		Long: `Shows an instance, whether it runs and how, and what there is of its disks: access, KVM device path, image, who has it
open and who has claimed it. Of an instance that runs it shows what it was started with.
` + exitStatus,
		Example:           `  cephctl instance info web1`,
		Args:              arguments(1, 1, "the name of the instance"),
		ValidArgsFunction: a.completeInstances,
		RunE:              func(cmd *cobra.Command, args []string) error { return runInstanceInfo(cmd.Context(), a, args[0]) },
	}
}

func runInstanceInfo(ctx context.Context, a *app, name string) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	info, err := a.instances(env).Info(ctx, name)
	if err != nil {
		return err
	}
	return a.print(info, func(w io.Writer) { writeInstance(w, info) })
}

func writeInstance(w io.Writer, i *instance.Info) {
	field := func(indent int, name, format string, args ...any) {
		fmt.Fprintf(w, "%*s%-*s%s\n", indent, "", 16-indent, name, fmt.Sprintf(format, args...))
	}
	field(0, "instance", "%s", i.Name)
	field(0, "uuid", "%s", i.UUID)
	field(0, "node", "%s", i.Node)
	field(0, "state", "%s", i.State)
	if i.Problem != "" {
		field(0, "problem", "%s", i.Problem)
	}
	if i.PID != 0 {
		field(0, "process", "%d, QEMU %s, %s", i.PID, i.QEMU, accelText(i.Accel))
	}
	field(0, "memory", "%d MiB", i.MemoryBytes>>20)
	field(0, "vcpus", "%d", i.VCPUs)
	for n, nic := range i.NICs {
		field(0, fmt.Sprintf("nic %d", n), "%s", strings.TrimSpace(nic.Mode+" "+nic.Bridge+" "+nic.MAC))
	}
	fmt.Fprintln(w, "Disks:")
	for n, d := range i.Specs {
		fmt.Fprintf(w, "  disk/%d\n", n)
		if n < len(i.Looks) {
			writeDisk(field, d, i, n)
		}
	}
}

// writeDisk writes what there is of a disk.
func writeDisk(field func(int, string, string, ...any), d control.DiskSpec, i *instance.Info, n int) {
	l := &i.Looks[n]
	field(4, "access", "%s", l.Access)
	field(4, "path", "%s", l.Path)
	field(4, "image", "%s", d.Image)
	for _, name := range sortedKeys(d.Where) {
		field(4, name, "%s", d.Where[name])
	}
	field(4, "size", "%d MiB", cmp.Or(l.SizeBytes, d.SizeBytes)>>20)
	field(4, "cache", "%s", l.Cache)
	if l.Problem != nil {
		field(4, "problem", "%s", l.Problem)
		return
	}
	if !l.Exists {
		field(4, "problem", "there is no such image")
		return
	}
	field(4, "watchers", "%s", orDash(strings.Join(l.Watchers, ", ")))
	claim := ""
	if l.Claim != nil {
		claim = l.Claim.String()
	}
	if l.Dead && (!l.Claim.Devices || l.Mapped == "") { // else it is there, and gives way to the instance
		claim += " (which is dead)"
	}
	field(4, "claimed by", "%s", orDash(claim))
	field(4, "mapped as", "%s", orDash(l.Mapped))
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
