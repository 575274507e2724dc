package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
)

// Exit codes of loopback check.
const (
	exitLevel        = 10 // and the level, from notice on
	exitLevelUnknown = 15
)

// levelError is returned when check has found a level that is worth an exit code. The output has said which.
type levelError struct{ code int }

// Error says the level.
func (e levelError) Error() string {
	if e.code == exitLevelUnknown {
		return "a level is not known"
	}
	return "the level is " + loopback.Level(e.code-exitLevel).String()
}

// loopbackCheckOptions are the flags of loopback check.
type loopbackCheckOptions struct {
	node  string
	watch time.Duration
}

func newLoopbackCheckCommand(a *app) *cobra.Command {
	opts := loopbackCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check [--node NODE]",
		Short: "Judge the risk on nodes, with evidence and cures",
		Long: `Looks on all nodes of the inventory that are not offline, on one, or without an inventory on this host, which images
the kernel has mapped, whether OSDs of the node have a part of their pools, who has them open, and whether memory is
short. It judges as the exporter does, and needs no cluster of cephctl's own. It changes nothing.

Where Ceph's configuration and the admin's key are on this host, it also says how much of each image's pool the node has:
of the pool with its data, and of that with its header where these are two (rbd create --data-pool).

level 0  none      no OSD of the node has a part of the image's pool
      1  info      nobody has the device open for writing
      2  notice    open with O_DIRECT only
      3  warning   written to through the host's page cache: a file system, or a disk cache other than none
      4  critical  the same and memory is short; or swap; or requests to an OSD of the node that do not end

EXIT STATUS
  0    no image is above level 1
  12   the highest level is 2
  13   the highest level is 3
  14   the highest level is 4
  15   a level is not known, or a node did not answer, and none is 4
  1, 2, 130  as of all commands: something went wrong, wrong usage, interrupted`,
		Example: `  cephctl loopback check
  cephctl loopback check --node node2 --watch 35s
  cephctl loopback check -o json`,
		Args: rules().NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLoopbackCheck(cmd.Context(), a, opts) },
	}
	cmd.Flags().StringVar(&opts.node, "node", "", "only this node")
	cmd.Flags().DurationVar(&opts.watch, "watch", 0, "how long to watch requests in flight: 30s and more tell those that are stuck")
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNodes) // fails without such a flag only
	return cmd
}

func runLoopbackCheck(ctx context.Context, a *app, opts loopbackCheckOptions) error {
	if opts.watch < 0 || opts.watch > time.Hour {
		return fmt.Errorf("%w: watch %s: give a duration up to 1h, for example 35s", control.ErrUsage, opts.watch)
	}
	reports, err := a.loopbackReports(ctx, opts)
	if err != nil {
		return err
	}
	if err := a.print(reports, func(w io.Writer) { a.writeLoopback(w, reports) }); err != nil {
		return err
	}
	return loopbackResult(reports)
}

// loopbackReports checks the nodes that are meant.
func (a *app) loopbackReports(ctx context.Context, opts loopbackCheckOptions) ([]loopcheck.Report, error) {
	c, env, err := a.cluster(ctx)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	checker := &loopcheck.Checker{Env: env, Host: loopcheck.Host{Name: host}}
	query := loopcheck.Query{Watch: opts.watch}
	if len(c.Nodes) == 0 && (opts.node == "" || opts.node == host) {
		return []loopcheck.Report{checker.Here(ctx, query)}, nil
	}
	nodes := slices.DeleteFunc(slices.Clone(c.Nodes), func(n control.Node) bool { return n.Offline })
	if opts.node != "" {
		n, err := findNode(c, opts.node)
		if err != nil {
			return nil, err
		}
		nodes = []control.Node{n}
	}
	if len(nodes) == 0 {
		return nil, errors.New("all nodes are offline: name one with --node")
	}
	return checker.Nodes(ctx, nodes, query), nil
}

// loopbackResult returns the error that stands for the level.
func loopbackResult(reports []loopcheck.Report) error {
	level, known := loopback.None, true
	for i := range reports {
		level = max(level, reports[i].Level)
		known = known && reports[i].Known
	}
	switch {
	case level == loopback.Critical:
	case !known:
		return levelError{exitLevelUnknown}
	case level < loopback.Notice:
		return nil
	}
	return levelError{exitLevel + int(level)}
}

func (a *app) writeLoopback(w io.Writer, reports []loopcheck.Report) {
	for i := range reports {
		if i > 0 {
			fmt.Fprintln(w)
		}
		a.writeLoopbackNode(w, &reports[i])
	}
}

func (a *app) writeLoopbackNode(w io.Writer, r *loopcheck.Report) {
	if r.Error != "" {
		fmt.Fprintf(w, "%s: not known: %s\n", r.Node, r.Error)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", r.Node, levelWord(r.Level, r.Known))
	fmt.Fprintf(w, "memory: %s\n", memoryWords(r.Memory))
	for _, source := range slices.Sorted(maps.Keys(r.Missing)) {
		fmt.Fprintf(w, "not known: %s: %s\n", source, r.Missing[source])
	}
	if len(r.Images) == 0 {
		fmt.Fprintln(w, "no image is mapped")
		return
	}
	fmt.Fprintln(w)
	t := a.newTable("DEVICE", "IMAGE", "INSTANCE", "LEVEL", "REASON", "OSDS HERE", "PGS HERE", "IN FLIGHT", "USED BY")
	for i := range r.Images {
		m := &r.Images[i]
		t.add(m.Device, imageName(m), m.Instance, levelWord(m.Verdict.Level, m.Verdict.Known), string(m.Verdict.Reason),
			osdWords(m.Verdict.Local), shareWords(m), flightWords(m), useWords(m.Uses))
	}
	t.write(w)
	for i := range r.Images {
		writeCures(w, &r.Images[i])
	}
}

// writeCures lists the cures of an image at notice or above, and what keeps its level from being known.
func writeCures(w io.Writer, m *loopcheck.Image) {
	if !m.Verdict.Known {
		fmt.Fprintf(w, "\n%s: not known: %s\n", m.Device, strings.Join(m.Verdict.Unknown, ", "))
	}
	if m.Verdict.Level < loopback.Notice {
		return
	}
	fmt.Fprintf(w, "\n%s: cures, best first:\n", m.Device)
	for i, c := range m.Verdict.Cures {
		fmt.Fprintf(w, "  %d. %s\n", i+1, c.Text)
		if c.Command != "" {
			fmt.Fprintf(w, "       %s\n", c.Command)
		}
	}
}

func levelWord(l loopback.Level, known bool) string {
	if known {
		return l.String()
	}
	return l.String() + " or more"
}

func memoryWords(m loopback.Memory) string {
	words := "available is not known"
	if m.HasInfo {
		words = fmt.Sprintf("%d%% available, %d MiB dirty, %d MiB in writeback", m.Available*100/max(1, m.Total), m.Dirty>>20, m.Writeback>>20)
	}
	if m.HasPSI {
		words += fmt.Sprintf(", all tasks waited for it %.1f%% of the last minute", m.Full*100)
	}
	return words
}

func imageName(m *loopcheck.Image) string {
	name := m.Pool + "/"
	if m.Namespace != "" {
		name += m.Namespace + "/"
	}
	name += m.Image
	if m.Snapshot != "" {
		name += "@" + m.Snapshot
	}
	return name
}

func osdWords(ids []int) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = fmt.Sprintf("osd.%d", id)
	}
	return strings.Join(words, ", ")
}

func shareWords(m *loopcheck.Image) string {
	words := shareOf(m.Share)
	if m.HeaderShare != nil {
		words += "; header " + shareOf(m.HeaderShare)
	}
	for _, pool := range slices.Sorted(maps.Keys(m.ParentShares)) {
		share := m.ParentShares[pool]
		words += "; parent in " + pool + " " + shareOf(&share)
	}
	return strings.TrimPrefix(words, "; ")
}

func shareOf(s *loopback.Share) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d, %d primary", s.Any, s.PGs, s.Primary)
}

func flightWords(m *loopcheck.Image) string {
	words := fmt.Sprint(m.InFlight)
	if m.Oldest >= time.Second {
		words += fmt.Sprintf(", %s old", m.Oldest.Round(time.Second))
	}
	return words
}

func useWords(uses []loopback.Use) string {
	words := make([]string, len(uses))
	for i, u := range uses {
		words[i] = u.Who
	}
	return strings.Join(words, "; ")
}
