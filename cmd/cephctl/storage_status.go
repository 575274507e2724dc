package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func newStorageStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the storage cluster on one screen",
		Long: `Shows health and quorum, every daemon of every node with its device and state, what works in the background or was
begun and not finished, and what cephctl would do next. Where cephctl has not made the cluster, it shows the one that this host is configured for.
` + exitStatus,
		Example: `  cephctl storage status`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runStorageStatus(cmd.Context(), a) },
	}
}

func runStorageStatus(ctx context.Context, a *app) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	status, err := clusterOf(env).Status(ctx)
	if err != nil {
		return err
	}
	out := &statusOutput{storageStatus: status}
	if site, err := a.config.site(); err == nil && site != nil { // hooks are Ganeti's
		if out.Background, err = background(ctx, env.Runner); err != nil {
			out.BackgroundProblem = err.Error()
		}
	}
	return a.print(out, func(w io.Writer) { a.writeStatus(w, out) })
}

// statusOutput is the output of storage status.
type statusOutput struct {
	*storageStatus
	Background []backgroundUnit `json:"background,omitempty"`
	// BackgroundProblem is why nobody can tell.
	BackgroundProblem string `json:"background_problem,omitempty"`
}

func (a *app) writeStatus(w io.Writer, s *statusOutput) {
	colour := a.terminalOut && colours()
	word := func(text string) string {
		if colour {
			return coloured(text)
		}
		return text
	}
	fmt.Fprintf(w, "%-8s%s\n", "group", orDash(s.Group))
	if s.ID != "" {
		fmt.Fprintf(w, "%-8s%s\n", "cluster", s.ID)
	}
	if len(s.Clients) > 0 {
		fmt.Fprintf(w, "%-8s%s\n", "clients", strings.Join(s.Clients, ", "))
	}
	switch {
	case s.Problem != "":
		fmt.Fprintf(w, "%-8s%s: %s\n", "health", word("unknown"), s.Problem)
	case s.Health != "":
		fmt.Fprintf(w, "%-8s%s\n", "health", word(s.Health))
	default:
		fmt.Fprintf(w, "%-8sthere is no storage cluster\n", "health")
	}
	for _, check := range s.Checks {
		fmt.Fprintf(w, "%-8s%s\n", "", check)
	}
	if len(s.Mons) > 0 {
		fmt.Fprintf(w, "%-8s%d of %d mons (%s)\n", "quorum", len(s.Quorum), len(s.Mons), strings.Join(s.Quorum, ", "))
	}
	if len(s.Daemons) > 0 {
		fmt.Fprintln(w)
		t := a.newTable("NODE", "ROLE", "DAEMON", "DEVICE", "STATE")
		for _, d := range s.Daemons {
			t.add(d.Node, d.Role, d.Daemon, d.Device, d.State)
		}
		t.write(w)
	}
	a.writeNext(w, s)
}

func (a *app) writeNext(w io.Writer, s *statusOutput) {
	for _, u := range s.Background {
		fmt.Fprintf(w, "\nin the background: %s (%s): %s\n", u.Unit, u.State, u.Command)
	}
	if s.BackgroundProblem != "" {
		fmt.Fprintf(w, "\nin the background: not known: %s\n", s.BackgroundProblem)
	}
	if s.Operation != "" {
		fmt.Fprintf(w, "\nbegun and not finished: %s\n", s.Operation)
	}
	lines := make([]string, 0, len(s.Blockers))
	for _, b := range s.Blockers {
		lines = append(lines, b.String())
	}
	if len(s.Blockers)+len(s.Next) > 0 {
		fmt.Fprintln(w)
	}
	writeList(w, "stands in the way:", lines)
	writeList(w, "next, cephctl would:", s.Next)
}
