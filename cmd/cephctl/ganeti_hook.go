package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/hooks"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/replica"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// vetoTimeout bounds what Ganeti has to wait for before it may go on, or may not.
const vetoTimeout = 45 * time.Second

func newGanetiHookCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    hooks.Command + " HOOK",
		Short:  "Say whether Ganeti may do what it is about to do, or follow what it has done",
		Args:   arguments(1, 1, "the name of the hook"),
		Hidden: true,
		// Whether wrong settings stop Ganeti depends on the hook.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },

		RunE: func(cmd *cobra.Command, args []string) error { return runGanetiHook(cmd.Context(), a, args[0]) },
	}
}

// veto is why Ganeti may not do what it is about to do. Ganeti shows the one line of it.
type veto string

// Error returns the line.
func (v veto) Error() string { return string(v) }

// runGanetiHook does the work of a hook.
func runGanetiHook(ctx context.Context, a *app, hook string) error {
	event, err := hooks.ReadEvent(hook, os.Environ())
	if err != nil {
		return fmt.Errorf("%w: %w", control.ErrUsage, err)
	}
	st, err := a.hookState(ctx, event)
	if err != nil {
		return a.endHook(event, unable(event, err))
	}
	if st == nil {
		return nil
	}
	env, err := a.open(true)
	if err != nil {
		return a.endHook(event, a.resolve(ctx, event, st, unable(event, err)))
	}
	begun := a.now()
	err = a.resolve(ctx, event, st, a.followInTime(ctx, env, event, st))
	env.Log.Info("hook", "hook", hook, "op", event.OpCode, "node", event.Node, "group", event.Group, "instance", event.Instance,
		"duration", a.now().Sub(begun), "error", err)
	return a.endHook(event, err)
}

func (a *app) followInTime(ctx context.Context, env *control.Env, event hooks.Event, st *state.State) error {
	ctx, cancel := context.WithTimeoutCause(ctx, vetoTimeout, fmt.Errorf("no answer within %s", vetoTimeout))
	defer cancel()
	return a.follow(ctx, env, event, st)
}

// doubt is a veto for want of an answer.
type doubt struct{ veto }

// Unwrap returns the veto.
func (d doubt) Unwrap() error { return d.veto }

// listTimeout bounds how long Ganeti's own commands may take to list groups and nodes.
const listTimeout = 10 * time.Second

// resolve takes a doubt away where Ganeti's own commands, which need nothing of what has not answered, say of the node or group
// of an event that it has nothing to do with storage.
func (a *app) resolve(ctx context.Context, event hooks.Event, st *state.State, err error) error {
	if !errors.As(err, new(doubt)) || !event.Before() {
		return err
	}
	site, e := a.config.site()
	if e != nil || site == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	c, e := a.listed(ctx, site, &run.Runner{Host: site.Master})
	if e != nil || !isApart(c, event, st) {
		return err
	}
	a.mention(event, event.Node+event.Group+" has nothing to do with storage; "+err.Error())
	return nil
}

// isApart tells whether the node or group of an event is known, and has nothing to do with storage.
func isApart(c control.Cluster, event hooks.Event, st *state.State) bool {
	group := event.Group
	if event.Node != "" {
		n, ok := c.Node(event.Node)
		if !ok || storageOfNode(c, n, st) != "" {
			return false
		}
		group = n.Group
	}
	_, ok := c.Group(group)
	return ok && storageOfGroup(c, group, st) == ""
}

// mention tells what Ganeti shows nobody, as it lets pass.
func (a *app) mention(event hooks.Event, text string) {
	line := event.Hook + ": " + hooks.Line(text)
	fmt.Fprintln(a.err, "warning: "+line)
	toJournal(line)
}

// hookState returns what is remembered, or nil where a hook has nothing to do: only the master's counts, where there is a storage
// cluster, and cephctl is not at it itself.
func (a *app) hookState(ctx context.Context, event hooks.Event) (*state.State, error) {
	wrong := a.config.complete()
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	site, err := a.config.site()
	decides := err != nil || site != nil && site.CheckMaster(host) == nil
	if !decides {
		return nil, nil
	}
	if err := cmp.Or(wrong, err); err != nil || !a.pausedUntil().IsZero() {
		return nil, err
	}
	store := state.NewFile(a.config.stateFile())
	st, err := store.Load()
	if err != nil || !isStorageSite(st) || isStepOf(st.Operation, event) && isAtWork(ctx, store) {
		return nil, err
	}
	return st, nil
}

// endHook says why Ganeti may not go on, or what its user should know, in the one line that it shows. What could only not
// be looked at stops nothing where a no could do more harm.
func (a *app) endHook(event hooks.Event, err error) error {
	no := veto("")
	switch {
	case errors.As(err, &no) && event.Told():
		fmt.Fprintln(a.out, hooks.Line(string(no)))
		return errVeto
	case err != nil && event.Before() && hooks.FailsOpen(event.Hook):
		a.mention(event, err.Error())
		return nil
	}
	return err
}

func isParams(event hooks.Event) bool {
	return event.OpCode == opGroupModify || event.OpCode == opClusterModify
}

// unable is what becomes of a hook that can't do its work.
func unable(event hooks.Event, err error) error {
	switch {
	case !event.Before() && isParams(event):
		return notSeen(err)
	case hooks.FailsOpen(event.Hook):
		return err
	case errors.Is(err, control.ErrUsage): // with wrong settings, there is no pause either
		return veto("cephctl can't tell whether this is safe: " + err.Error() + ": mend that first")
	}
	return vetoOf(nil, err)
}

// errVeto ends a hook that has said why.
var errVeto = errors.New("refused")

// follow does what an event asks for. A veto is an error.
func (a *app) follow(ctx context.Context, env *control.Env, event hooks.Event, st *state.State) error {
	in := &outlined{}
	if inventory, ok := env.Inventory.(outliner); ok && event.Hook != hooks.Watcher && event.Hook != "cluster-verify-post" {
		in.outliner = inventory
		env.Inventory = in
	}
	switch event.Hook {
	case "node-modify-pre":
		return a.beforeModify(ctx, env, event, st)
	case "node-modify-post":
		if event.Offline != nil && *event.Offline {
			return a.afterOffline(ctx, env, event.Node, st)
		}
	case "node-add-post":
		return a.afterAdd(ctx, env, event.Node, st)
	case "node-remove-pre":
		return a.beforeNode(ctx, env, event.Node, nodeRemove, st)
	case "group-remove-pre", "group-rename-pre":
		return beforeGroup(ctx, in, event, st)
	case "group-modify-pre", "cluster-modify-pre":
		return a.beforeParams(ctx, in, event)
	case "group-modify-post", "cluster-modify-post":
		return afterParams(ctx, in, event)
	case "instance-add-pre", "instance-start-pre", "instance-migrate-pre":
		return a.beforeInstance(ctx, env, in, event)
	case "instance-add-post", "instance-start-post", "instance-migrate-post":
		return a.afterInstance(event)
	case "config-update-post":
		if event.OpCode == "OP_GROUP_ASSIGN_NODES" {
			return afterAssign(ctx, env, st)
		}
	case "cluster-verify-post":
		return tellFindings(ctx, env)
	case hooks.Watcher:
		if copied, ok := env.Store.(*replica.Store); ok {
			copied.Send(ctx) // for a candidate that was away, or is new
		}
		return errors.Join(keepGuard(ctx, env), resume(ctx, env, st))
	}
	return nil
}

// isStepOf tells whether what Ganeti does is a step of an operation of cephctl's own, which has made sure that it may be.
func isStepOf(op *state.Operation, event hooks.Event) bool {
	if op == nil || op.Target != event.Node {
		return false
	}
	switch event.Hook {
	case "node-add-post":
		return op.Kind == "node-add" || op.Kind == kindReadd
	case "node-remove-pre":
		return op.Kind == "node-remove" || op.Kind == "remove-dead"
	case "node-modify-pre", "node-modify-post":
		if event.Offline != nil && *event.Offline {
			return op.Kind == kindOffline
		}
		return op.Kind == kindReadd
	}
	return false
}

// isAtWork tells whether somebody changes things now. What was broken off is no reason to let others go on with it unseen.
func isAtWork(ctx context.Context, store *state.File) bool {
	release, err := store.Lock(ctx, "see who is at work")
	if err == nil {
		release()
	}
	return errors.Is(err, state.ErrLocked)
}

// Kinds of operations that hooks begin.
const (
	kindOffline   = "offline"
	kindReadd     = "node-readd"
	kindAddClient = "add-client"
)

// isStorageSite tells whether there is a storage group.
func isStorageSite(st *state.State) bool {
	for _, known := range st.Storage {
		if known.Group != "" {
			return true
		}
	}
	return false
}

// beforeModify judges what becomes of a node's flag offline.
func (a *app) beforeModify(ctx context.Context, env *control.Env, event hooks.Event, st *state.State) error {
	switch {
	case event.Offline == nil:
		return nil
	case *event.Offline:
		return a.beforeNode(ctx, env, event.Node, nodeOffline, st)
	}
	plan, err := env.Preview(ctx, setOnline(env, event.Node))
	return vetoOf(plan, err)
}

// beforeNode refuses what cephctl itself would refuse to do with a node of a storage group. A node whose daemons are down
// already may always go offline.
func (a *app) beforeNode(ctx context.Context, env *control.Env, name string, kind changeKind, st *state.State) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The storage cluster is asked at once: reading Ganeti's configuration takes its time, too.
	planned := a.planAhead(ctx, env, nodeChange{kind: kind, node: control.Node{Name: name}, judge: true})
	c, err := env.Inventory.Cluster(ctx)
	if err != nil {
		return cannotTell(name+" may go", err, "it may")
	}
	n, ok := c.Node(name)
	if !ok || storageOfNode(c, n, st) == "" {
		return nil
	}
	plan, err := planned()
	refused := vetoOf(plan, err)
	switch {
	case refused == nil, kind != nodeOffline:
		return refused
	case plan != nil && plan.Down:
		return nil
	case err != nil, plan.Blockers[0].Case != control.CasePending:
		return refused
	}
	if down, err := clusterOf(env).IsDown(ctx, name); err == nil && down {
		return nil
	}
	return refused
}

// planAhead begins to plan a change of a node, and returns what waits for the plan.
func (a *app) planAhead(ctx context.Context, env *control.Env, c nodeChange) func() (*control.Plan, error) {
	var (
		plan *control.Plan
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		plan, err = env.Preview(ctx, a.changeNode(env, c))
	}()
	return func() (*control.Plan, error) {
		<-done
		return plan, err
	}
}

// vetoOf makes a veto of the blockers of a plan, or of what has kept it from being made.
func vetoOf(plan *control.Plan, err error) error {
	if err != nil {
		return cannotTell("this is safe", err, "it is")
	}
	return vetoBy(plan.Blockers)
}

// vetoBy makes a veto of reasons, unless there are none.
func vetoBy(reasons []control.Blocker) error {
	if len(reasons) == 0 {
		return nil
	}
	lines := make([]string, len(reasons))
	for i, b := range reasons {
		lines[i] = b.String()
	}
	return veto("cephctl: " + strings.Join(lines, "; "))
}

// cannotTell is a veto for want of an answer, with the way out for who has it.
func cannotTell(what string, err error, given string) doubt {
	return doubt{veto("cephctl can't tell whether " + what + ": " + err.Error() + ": if " + given + ": cephctl hooks pause --for 10m")}
}

// afterOffline takes the daemons of a node away that has gone offline.
func (a *app) afterOffline(ctx context.Context, env *control.Env, name string, st *state.State) error {
	c, err := env.Inventory.Cluster(ctx)
	if err != nil {
		return err
	}
	if n, ok := c.Node(name); !ok || storageOfNode(c, n, st) == "" {
		return nil
	}
	return goOffline(ctx, env, name)
}

// afterAdd gives a node that has come, or come back, the hooks, and what nodes of its group have of the storage cluster: in the
// storage group its daemons, in a group of clients configuration and keys.
func (a *app) afterAdd(ctx context.Context, env *control.Env, name string, st *state.State) error {
	c, err := env.Inventory.Cluster(ctx)
	if err != nil {
		return err
	}
	if err := goHooks(ctx, env, name); err != nil {
		return err
	}
	if n, ok := c.Node(name); !ok || !usesStorage(c, n, st) {
		return nil
	}
	return goReadd(ctx, env, name)
}

// beforeGroup keeps the storage group, and its name.
func beforeGroup(ctx context.Context, in *outlined, event hooks.Event, st *state.State) error {
	o, err := in.Outline(ctx)
	if err != nil {
		return cannotTell(event.Group+" is the storage group", err, "it is not")
	}
	if g, ok := o.Group(event.Group); ok && storageOfGroup(o.Cluster, g.Name, st) != "" {
		return veto("cephctl: group " + g.Name + " is the storage group: take the storage cluster down first: cephctl storage destroy")
	}
	return nil
}

// afterAssign follows gnt-group assign-nodes, of which a hook learns neither the group nor the nodes: those that have come into
// a group of clients become clients. What cephctl itself is at makes them such by itself.
func afterAssign(ctx context.Context, env *control.Env, st *state.State) error {
	c, err := env.Inventory.Cluster(ctx)
	if err != nil {
		return err
	}
	logMoved(env, c)
	if st.Operation != nil {
		return nil
	}
	for _, g := range c.Groups {
		if storageOfClients(g.Name, st) == "" || len(c.Members(g.Name)) == 0 {
			continue
		}
		if err := goClients(ctx, env, g.Name); err != nil {
			return err
		}
	}
	return nil
}

// logMoved writes down which nodes are where they should not be after gnt-group assign-nodes, which no hook can refuse.
func logMoved(env *control.Env, c control.Cluster) {
	for _, n := range c.Nodes {
		g, _ := c.Group(n.Group)
		switch {
		case n.Mark != "" && g.Mark == "":
			env.Log.Error("a node has left the storage group with its daemons", "node", n.Name, "cure", wayBack(c, n))
		case n.Mark == "" && g.Mark != "" && !n.Offline:
			env.Log.Error("a node has come into the storage group online", "node", n.Name, "cure", "cephctl node add --readd "+n.Name)
		}
	}
}

// wayBack says how a node that has left the storage group online gets into it again: it can only be assigned to it offline,
// and goes offline like a member wherever it is.
func wayBack(c control.Cluster, n control.Node) string {
	cure := "cephctl node modify --offline=yes " + n.Name
	for _, g := range c.Groups {
		if g.Mark == n.Mark {
			return cure + "; to have it back: cephctl group assign-nodes " + g.Name + " " + n.Name + ", then cephctl node add --readd " + n.Name
		}
	}
	return cure
}

// tellFindings makes gnt-cluster verify tell what cephctl cluster verify finds.
func tellFindings(ctx context.Context, env *control.Env) error {
	findings, err := clusterOf(env).Verify(ctx)
	if err != nil {
		return err
	}
	var wrong []control.Blocker
	for _, f := range findings {
		if f.Severity == severityError {
			wrong = append(wrong, control.Blocker{Node: f.Node, Text: f.Text, Cure: f.Cure})
		}
	}
	return vetoBy(wrong)
}

// keepGuard sets the job filters of a group that has become the storage group after the hooks were installed.
func keepGuard(ctx context.Context, env *control.Env) error {
	inventory, ok := env.Inventory.(guard)
	if !ok {
		return nil
	}
	c, err := env.Inventory.Cluster(ctx)
	if err != nil {
		return err
	}
	guarded, err := inventory.Guarded(ctx)
	if err != nil {
		return err
	}
	for _, name := range unguarded(c, guarded) {
		if err := inventory.Guard(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
