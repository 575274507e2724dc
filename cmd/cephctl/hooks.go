package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/hooks"
)

// hookTimeout is how long a node may take to look at its hooks, or to change them.
const hookTimeout = 30 * time.Second

func newHooksCommand(a *app) *cobra.Command {
	return newNoun("hooks", "What Ganeti's own commands do for the storage cluster",
		newHooksInstallCommand(a), newHooksStatusCommand(a), newHooksRemoveCommand(a), newHooksPauseCommand(a))
}

func newHooksInstallCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:   "install [NODE]",
		Short: "Let Ganeti's own commands take care of the storage cluster",
		Long: `Puts a script into Ganeti's folders of hooks, on every node or on one. From then on gnt-node modify -O yes takes a
node's daemons away and is refused where that would lose quorum or data, gnt-node add makes a node of the storage group
a member of the storage cluster, gnt-node remove is refused while a node carries daemons, gnt-group and gnt-cluster modify
where instances would lose their disks, and gnt-cluster verify tells what cephctl cluster verify finds. gnt-instance add,
start and migrate warn where disks can't be opened, or refuse: see hooks.instances. What takes long goes on in the
background: see cephctl storage status.
` + exitStatus,
		Example: `  cephctl hooks install --plan
  cephctl hooks install`,
		Args:              arguments(0, 1, "at most the name of a node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runHooks(cmd.Context(), a, opts, true, args) },
	}
	opts.register(cmd)
	return cmd
}

func newHooksRemoveCommand(a *app) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{
		Use:   "remove [NODE]",
		Short: "Take the hooks away again",
		Long: `Takes cephctl's scripts out of Ganeti's folders of hooks, on every node or on one.
` + exitStatus,
		Example:           `  cephctl hooks remove`,
		Args:              arguments(0, 1, "at most the name of a node"),
		ValidArgsFunction: a.completeNodes,
		RunE:              func(cmd *cobra.Command, args []string) error { return runHooks(cmd.Context(), a, opts, false, args) },
	}
	opts.register(cmd)
	return cmd
}

// ganetiCluster returns the inventory of a Ganeti cluster, on its master.
func (a *app) ganetiCluster(ctx context.Context) (control.Cluster, *control.Env, error) {
	site, err := a.config.site()
	if err == nil && site == nil {
		err = fmt.Errorf("%w: hooks are Ganeti's", ganeti.ErrNoGaneti)
	}
	if err != nil {
		return control.Cluster{}, nil, err
	}
	return a.cluster(ctx)
}

func runHooks(ctx context.Context, a *app, opts changeOptions, install bool, only []string) error {
	c, _, err := a.ganetiCluster(ctx)
	if err != nil {
		return err
	}
	nodes := c.Nodes
	if len(only) > 0 {
		n, err := findNode(c, only[0])
		if err != nil {
			return err
		}
		nodes = []control.Node{n}
	}
	return a.change(ctx, opts, func(env *control.Env) control.Change {
		change := hooksChange(env, nodes, install)
		if len(only) > 0 {
			return change
		}
		return guardToo(env, change, c, install)
	})
}

// guard is what an inventory has that can keep nodes from being assigned to a group by others than cephctl.
type guard interface {
	Guard(ctx context.Context, group string) error
	Unguard(ctx context.Context) error
	Guarded(ctx context.Context) (groups []string, err error)
}

// guardToo adds to a change of the hooks what no hook can do: that nodes are assigned to the storage group.
func guardToo(env *control.Env, change control.Change, c control.Cluster, install bool) control.Change {
	inventory, ok := env.Inventory.(guard)
	if !ok {
		return change
	}
	hooksOnly := change.Plan
	change.Plan = func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
		plan, err := hooksOnly(ctx, memory)
		if err != nil {
			return nil, err
		}
		guarded, err := inventory.Guarded(ctx)
		if err != nil {
			return nil, err
		}
		first := len(plan.Steps)
		if install {
			for _, name := range unguarded(c, guarded) {
				add(plan, "guard "+name, "have Ganeti reject what assigns nodes to group "+name, "inventory: job filters of group "+name,
					func(ctx context.Context) error { return inventory.Guard(ctx, name) })
			}
		} else if len(guarded) > 0 {
			add(plan, "unguard", "take Ganeti's job filters away", "inventory: no job filters of cephctl", inventory.Unguard)
		}
		for i := range plan.Steps[first:] {
			plan.Steps[first+i].Node = c.Master
		}
		return plan, nil
	}
	return change
}

// unguarded are the storage groups that are not guarded.
func unguarded(c control.Cluster, guarded []string) []string {
	var names []string
	for _, g := range c.Groups {
		if g.Mark != "" && !slices.Contains(guarded, g.Name) {
			names = append(names, g.Name)
		}
	}
	return names
}

// hooksChange puts the hooks on nodes, or takes them away. Nodes that do not answer are left as they are.
func hooksChange(env *control.Env, nodes []control.Node, install bool) control.Change {
	action, title := hooks.ActionRemove, "remove the hooks"
	if install {
		action, title = hooks.ActionInstall, "install the hooks"
	}
	return control.Change{
		Kind: "hooks", Target: action, Free: true,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			plan := &control.Plan{Title: title}
			for i, seen := range askHooks(ctx, env, nodes) {
				n := nodes[i]
				switch {
				case seen.err != nil && n.Offline:
					plan.Note("%s is offline and is left as it is", n.Name)
				case seen.err != nil:
					plan.Note("%s is left as it is: %v", n.Name, seen.err)
				case !seen.facts.Ganeti:
					plan.Note("%s has no Ganeti and is left as it is", n.Name)
				case install && len(seen.facts.Lacking()) > 0, !install && len(seen.facts.Present()) > 0:
					plan.Steps = append(plan.Steps, control.Step{
						ID: action + " " + n.Name, Node: n.Name, Title: title, Together: action,
						Commands: seen.facts.Commands(install),
						Do: func(ctx context.Context, _ func(string)) error {
							return env.Ask(ctx, n, control.Question{Part: hooks.Name, Action: action, Timeout: hookTimeout}, nil, nil)
						},
					})
				}
			}
			return plan, nil
		},
	}
}

// hooksSeen is what a node has of the hooks, or why nobody knows.
type hooksSeen struct {
	facts hooks.Facts
	err   error
}

// askHooks asks nodes what they have of the hooks, all at once.
func askHooks(ctx context.Context, env *control.Env, nodes []control.Node) []hooksSeen {
	seen := make([]hooksSeen, len(nodes))
	var jobs errgroup.Group
	jobs.SetLimit(max(1, env.Parallel))
	for i, n := range nodes {
		jobs.Go(func() error {
			question := control.Question{Part: hooks.Name, Action: agent.ActionObserve, Timeout: hookTimeout}
			seen[i].err = env.Ask(ctx, n, question, &seen[i].facts, nil)
			return nil
		})
	}
	_ = jobs.Wait() // each has its own error
	return seen
}

func newHooksStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show on which nodes the hooks are",
		Long: `Shows for each node whether cephctl's hooks are there, and whether they are paused. It ends with 1 where a node that is
online lacks any.
` + exitStatus,
		Example: `  cephctl hooks status`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runHooksStatus(cmd.Context(), a) },
	}
}

// hooksStatus is the output of hooks status.
type hooksStatus struct {
	// PausedUntil is empty when the hooks do their work.
	PausedUntil string        `json:"paused_until,omitempty"`
	Nodes       []hooksOnNode `json:"nodes"`
}

type hooksOnNode struct {
	Node    string `json:"node"`
	Offline bool   `json:"offline"`
	State   string `json:"state"`
	// Lacking are the folders without the right script.
	Lacking []string `json:"lacking"`
}

// errHooks is returned when a node that is online lacks a hook.
var errHooks = errors.New("a node lacks hooks: cephctl hooks install")

func runHooksStatus(ctx context.Context, a *app) error {
	c, env, err := a.ganetiCluster(ctx)
	if err != nil {
		return err
	}
	status := hooksStatus{Nodes: []hooksOnNode{}}
	if until := a.pausedUntil(); !until.IsZero() {
		status.PausedUntil = until.Format(time.RFC3339)
	}
	lacking := false
	for i, seen := range askHooks(ctx, env, c.Nodes) {
		on := hooksOnNode{Node: c.Nodes[i].Name, Offline: c.Nodes[i].Offline, State: seen.facts.State(), Lacking: seen.facts.Lacking()}
		if seen.err != nil {
			on.State = "unknown: " + seen.err.Error()
		}
		lacking = lacking || !on.Offline && (seen.err != nil || len(on.Lacking) > 0)
		status.Nodes = append(status.Nodes, on)
	}
	if err := a.print(status, func(w io.Writer) { a.writeHooks(w, &status) }); err != nil {
		return err
	}
	if lacking {
		return errHooks
	}
	return nil
}

func (a *app) writeHooks(w io.Writer, s *hooksStatus) {
	if s.PausedUntil != "" {
		fmt.Fprintf(w, "paused until %s\n\n", s.PausedUntil)
	}
	t := a.newTable("NODE", "HOOKS", "LACKING")
	for _, n := range s.Nodes {
		t.add(n.Node, n.State, strings.Join(n.Lacking, " "))
	}
	t.write(w)
}

func newHooksPauseCommand(a *app) *cobra.Command {
	var long time.Duration
	cmd := &cobra.Command{
		Use:   "pause --for DURATION",
		Short: "Let Ganeti's commands through for a while",
		Long: `For a while the hooks refuse nothing and do nothing: for whoever knows better. With --for 0s they work again.
` + exitStatus,
		Example: `  cephctl hooks pause --for 1h`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runHooksPause(cmd.Context(), a, cmd, long) },
	}
	cmd.Flags().DurationVar(&long, "for", 0, "how long, for example 1h, a day at most")
	return cmd
}

func runHooksPause(ctx context.Context, a *app, cmd *cobra.Command, long time.Duration) error {
	if !cmd.Flags().Changed("for") || long < 0 || long > 24*time.Hour {
		return fmt.Errorf("%w: give --for, a day at most, for example --for 1h", control.ErrUsage)
	}
	if _, _, err := a.ganetiCluster(ctx); err != nil { // only the master's pause counts
		return err
	}
	until := a.now().Add(long)
	if err := a.pause(until, long > 0); err != nil {
		return err
	}
	return a.print(map[string]string{"paused_until": until.Format(time.RFC3339)}, func(w io.Writer) {
		if long == 0 {
			fmt.Fprintln(w, "the hooks work again")
			return
		}
		fmt.Fprintf(w, "the hooks are paused until %s\n", until.Format(time.DateTime))
	})
}
