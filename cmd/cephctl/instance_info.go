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
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

func newInstanceInfoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "info INSTANCE",
		Short: "Show an instance and its disks",
		Long: `Shows an instance, whether it runs and how, and what there is of its disks: access, KVM device path, image, who has it
open and who has claimed it. Of an instance that runs it shows what it was started with, and what QEMU really has open. Of one of
a Ganeti cluster it warns of what is not as it should be, and of what that release of Ganeti is known to do.
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
	if i.Status != "" {
		field(0, "status", "%s, says Ganeti", i.Status)
	}
	if i.Problem != "" {
		field(0, "problem", "%s", i.Problem)
	}
	switch {
	case i.PID != 0 && i.QEMU == "": // it does not answer
		field(0, "process", "%d", i.PID)
	case i.PID != 0:
		field(0, "process", "%d, QEMU %s, %s", i.PID, i.QEMU, accelText(i.Accel))
	}
	field(0, "memory", "%d MiB", i.MemoryBytes>>20)
	field(0, "vcpus", "%d", i.VCPUs)
	for n, nic := range i.NICs {
		field(0, fmt.Sprintf("nic %d", n), "%s", strings.TrimSpace(nic.Mode+" "+nic.Bridge+" "+nic.MAC))
	}
	fmt.Fprintln(w, "Disks:")
	for n, d := range i.Specs {
		fmt.Fprintf(w, "  disk/%d\n", d.Index)
		if n < len(i.Looks) {
			writeDisk(field, d, i, n)
		}
	}
	for n, d := range i.Disks {
		if !slices.ContainsFunc(i.Specs, func(s control.DiskSpec) bool { return s.Index == n }) {
			fmt.Fprintf(w, "  disk/%d\n", n)
			field(4, "template", "%s, which is Ganeti's alone: gnt-instance info %s", d.Template, i.Name)
		}
	}
	writeList(w, "Warnings:", i.Warnings)
}

// writeDisk writes what there is of a disk.
func writeDisk(field func(int, string, string, ...any), d control.DiskSpec, i *instance.Info, n int) {
	l := &i.Looks[n]
	field(4, "access", "%s", accessText(l.Access, d.Params["access"], i.AccessSource))
	field(4, "path", "%s", orDash(l.Path))
	if l.Driver != "" {
		field(4, "QEMU has", "%s, driver %s", l.Open, l.Driver)
	}
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
	field(4, "mapped as", "%s", mappedText(l, i.Status == ""))
	if i.Status != "" {
		return // the inventory starts it, and claims nothing
	}
	claim := ""
	if l.Claim != nil {
		claim = l.Claim.String()
	}
	if l.Dead && (!l.Claim.Devices || l.Mapped == "") { // else it is there, and gives way to the instance
		claim += " (which is dead)"
	}
	field(4, "claimed by", "%s", orDash(claim))
}

// mappedText says as which block device an image is mapped, and where cephctl maps images itself, whether it has not.
func mappedText(l *guest.DiskLook, own bool) string {
	if own && l.Foreign {
		return l.Mapped + ", and not by cephctl"
	}
	return orDash(l.Mapped)
}

// accessText says what the access is, and what it is going to be at the next start when that differs.
func accessText(now, next, source string) string {
	if now == next {
		return now + " (" + source + ")"
	}
	return now + ", and " + next + " (" + source + ") from the next start on"
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
