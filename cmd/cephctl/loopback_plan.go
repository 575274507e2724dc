package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
)

func newLoopbackPlanCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Say where instances meet the OSDs of their pools, and how to take them apart",
		Long: `Looks for nodes whose OSDs have a part of a pool that instances of the node's group use by the kernel
(access=kernelspace): what is mapped there some day may hang the node. It lists them with the level that an instance would
stand at, and the ways to take instances and pools apart, best first, with what each costs: data that is copied, and
instances that are started anew. It changes nothing and looks at what may be; "loopback check" looks at what is mapped.

Where Ganeti keeps the instances they are not seen: every node of a group counts as one that runs some by the kernel.
An image counts for the pool that it is named in, also when it has its data in another (rbd create --data-pool) or still
reads from a parent in another: "loopback check" and "instance start" look at all of these. Give "rbd deep cp" a --data-pool
as well, where an image has its data in an erasure-coded one: else the new image keeps copies, and takes more room.

EXIT STATUS
  0    nothing meets
  12   some meet, at level 2 (notice) at most: past the page cache of the host
  13   some meet at level 3 (warning)
  1, 2, 130  as of all commands: something went wrong, wrong usage, interrupted`,
		Example: `  cephctl loopback plan
  cephctl loopback plan -o json`,
		Args: rules().NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoopbackPlan(cmd.Context(), a) },
	}
}

func runLoopbackPlan(ctx context.Context, a *app) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	plan, err := clusterOf(env).PlanLoopback(ctx)
	if err != nil {
		return err
	}
	if err := a.print(plan, func(w io.Writer) { a.writeLoopbackPlan(w, plan) }); err != nil {
		return err
	}
	return meetingResult(plan)
}

// meetingResult returns the error that stands for the highest level.
func meetingResult(plan *loopbackPlan) error {
	level := loopback.None
	for i := range plan.Meetings {
		level = max(level, plan.Meetings[i].Level)
	}
	if level < loopback.Notice {
		return nil
	}
	return levelError{exitLevel + int(level)}
}

func (a *app) writeLoopbackPlan(w io.Writer, plan *loopbackPlan) {
	for _, missing := range plan.Missing {
		fmt.Fprintf(w, "not known: %s\n", missing)
	}
	if !plan.Known {
		fmt.Fprintln(w, "not known: which instances run where, and how they reach their images: Ganeti keeps them")
	}
	if len(plan.Meetings) == 0 {
		fmt.Fprintln(w, "no node has OSDs of a pool that its instances use by the kernel")
		return
	}
	t := a.newTable("GROUP", "NODE", "POOL", "ACCESS", "CACHE", "LEVEL", "PGS HERE", "INSTANCES")
	for i := range plan.Meetings {
		m := &plan.Meetings[i]
		t.add(m.Group, m.Node, m.Pool, m.Access, m.Cache, m.Level.String(), meetingShare(m), strings.Join(m.Instances, ", "))
	}
	t.write(w)
	last := ""
	number := 0
	for i := range plan.Moves {
		m := &plan.Moves[i]
		if key := m.Group + " " + m.Pool; key != last {
			fmt.Fprintf(w, "\ngroup %s and pool %s: ways apart, best first:\n", m.Group, m.Pool)
			last, number = key, 0
		}
		number++
		writeMove(w, number, m)
	}
}

func writeMove(w io.Writer, number int, m *loopbackMove) {
	fmt.Fprintf(w, "  %d. %s (%s)\n", number, m.Text, moveCost(m))
	if m.Lacks != "" {
		fmt.Fprintf(w, "       not possible now: it takes %s\n", m.Lacks)
	}
	for _, c := range m.Commands {
		fmt.Fprintf(w, "       %s\n", c)
	}
}

// moveCost says what a move costs.
func moveCost(m *loopbackMove) string {
	cost := "no data is copied"
	if m.MovesBytes > 0 {
		cost = fmt.Sprintf("up to %d MiB of data are copied", (m.MovesBytes+1<<20-1)>>20)
	}
	if len(m.Restarts) == 0 {
		return cost + ", no instance is started anew"
	}
	return cost + ", started anew: " + strings.Join(m.Restarts, ", ")
}

func meetingShare(m *loopbackMeeting) string {
	if m.PGs == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", m.Here, m.PGs)
}
