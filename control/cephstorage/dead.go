package cephstorage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// RemoveDead returns the change that removes a node which is gone for good from the cluster and the inventory.
func (s *Storage) RemoveDead(name, command string) control.Change {
	return control.Change{
		Kind: "remove-dead", Target: name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planDead(ctx, name, memory)
		},
	}
}

func (s *Storage) planDead(ctx context.Context, name string, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "remove the dead node " + name}
	v, err := s.observe(ctx, func(n control.Node, st state.Storage) bool {
		return n.Name == name || n.Group == st.Group && !n.Offline
	})
	if err != nil {
		return nil, err
	}
	b := &builder{Storage: s, v: v, plan: plan}
	dead := v.nodes[name]
	switch {
	case dead == nil && memory.Get("burying") != "":
		b.forgetOptions(name) // the run that was interrupted has done the rest
		return plan, nil
	case dead == nil:
		return nil, fmt.Errorf("node %s: %w: see \"cephctl node list\"", name, control.ErrUnknown)
	}
	switch {
	case dead.err == nil:
		plan.Block(name, "node-answers", "cephctl node modify --offline=yes "+name, "is not dead: its agent answers")
	case dead.isUp():
		plan.Block(name, "node-answers", "cure that, or switch it off for good", "is not dead: it answers with an error: %v", dead.err)
	}
	if v.cluster.Master == name {
		plan.Block(name, "node-is-master", "run this on another node", "is the node that this runs on")
	}
	if dead.Group == v.state.Group && !v.state.Initialised.IsZero() {
		b.bury(dead, memory)
	}
	if len(plan.Blockers) == 0 {
		memory.Keep("burying", yes)
		plan.Destroys = []string{"what is stored on " + name + " and nowhere else"}
		b.forget(dead.Node)
	}
	return plan, nil
}

// isUp tells whether a node has answered, if only by refusing a login: what the cluster has lost of it may still be there, and
// may come back.
func (n *nodeView) isUp() bool {
	return !errors.Is(n.err, control.ErrUnreachable) || errors.Is(n.err, control.ErrRefused)
}

// forget plans to take a node out of the inventory, and then to forget the storage options that it has of its own: another of its
// name has none.
func (b *builder) forget(n control.Node) {
	b.step(control.Step{
		ID: "forget " + n.Name, Node: b.v.master.Name, Title: "take node " + n.Name + " out of the inventory",
		Commands: []string{"inventory: node " + n.Name + " is gone"}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error { return b.env.Inventory.RemoveNode(ctx, n.Name) },
	})
	b.forgetOptions(n.Name)
}

func (b *builder) forgetOptions(name string) {
	if b.v.state.Nodes[name] == nil {
		return
	}
	b.step(control.Step{
		ID: "options " + name, Node: b.v.master.Name, Title: "forget the storage options of " + name,
		Commands: []string{"state: no storage options of " + name},
		Do: func(context.Context, func(string)) error {
			return b.remember(func(st *state.Storage) { st.SetNode(name, nil) })
		},
	})
}

// bury plans how the traces of a dead node leave the cluster.
func (b *builder) bury(dead *nodeView, memory *control.Memory) {
	b.checkCluster(b.v.state.ID)
	rest := b.others(dead)
	if len(rest) == 0 {
		b.plan.Block(dead.Name, "last-node", "to give the whole storage cluster up: cephctl storage destroy", "is the last node of the storage cluster")
	}
	if len(b.plan.Blockers) > 0 {
		return
	}
	// Who goes on may find nothing of it any more by which the cluster would know it.
	dead.facts.Host = memory.Keep("host", func() string { return b.v.ceph.hostAt(dead.Address) })
	l := b.leavingOf(dead)
	b.proveDead(l)
	var err error
	if b.g, err = setGoal(b.v, b.v.state.Group, b.v.state.ID, rest, memory); err != nil {
		b.plan.Block("", "options", "", "%v", err)
	}
	if len(b.plan.Blockers) > 0 {
		return
	}
	for _, n := range b.g.away {
		b.plan.Note("%s does not answer (%v): its ceph.conf goes on naming the dead mon", n.Name, n.err)
	}
	b.buryMon(l)
	// Before the wait for the data, which takes its time: until then the next failure could stop the cluster.
	b.addMons()
	b.addMgrs()
	b.step(b.forgetMgr(l.host()))
	b.configureRest()
	b.infos(true)
	b.buryOSDs(l)
}

// hostAt returns the host name of the node whose daemons have this IP address, by which the cluster knows it, or nothing. A
// node that is dead can't be asked, and its name in the inventory may be another one.
func (c *cephView) hostAt(ip string) string {
	for _, m := range c.quorum.Monmap.Mons {
		if m.Addrs.has(ip) {
			return m.Name
		}
	}
	for _, o := range c.osds.OSDs {
		if o.Addrs.has(ip) {
			return c.tree.hostOf(o.ID)
		}
	}
	return ""
}

// alive lists what the cluster says of the mon and the OSDs of a node that live.
func (c *cephView) alive(l *leaving) []string {
	var alive []string
	if slices.Contains(c.quorum.Names, l.host()) {
		alive = append(alive, "mon."+l.host()+" is in quorum")
	}
	for _, id := range l.osds {
		if o := c.osds.osd(id); o != nil && o.Up == 1 {
			alive = append(alive, osdName(id)+" is up")
		}
	}
	return alive
}

// IsDown tells whether the cluster lives without the mon and the OSDs of a node already, so that nothing is lost by what becomes of
// it. When nobody can tell, it returns an error.
func (s *Storage) IsDown(ctx context.Context, name string) (bool, error) {
	v, err := s.observeOne(ctx, name)
	if err != nil {
		return false, err
	}
	n := v.nodes[name]
	switch {
	case n == nil:
		return false, fmt.Errorf("node %s: %w", name, control.ErrUnknown)
	case v.ceph == nil:
		return false, v.cephErr
	}
	return (&builder{Storage: s, v: v}).isDown(n), nil
}

// isDown tells whether the cluster lives without the mon and the OSDs of a node already. Where it knows none of a node that
// does not answer, nobody can tell: the node may have another name or address there.
func (b *builder) isDown(n *nodeView) bool {
	known := *n
	if n.err != nil {
		known.facts.Host = b.v.ceph.hostAt(n.Address)
	}
	l := b.leavingOf(&known)
	for _, o := range b.v.ceph.osds.OSDs { // those of other buckets, too
		if o.Addrs.has(n.Address) && !slices.Contains(l.osds, o.ID) {
			l.osds = append(l.osds, o.ID)
		}
	}
	if !l.mon && len(l.osds) == 0 && (n.err != nil || len(n.facts.Problems) > 0) {
		return false
	}
	return len(b.v.ceph.alive(l)) == 0
}

// proveDead adds the reasons why a node is not dead.
func (b *builder) proveDead(l *leaving) {
	alive := b.v.ceph.alive(l)
	if slices.Contains(b.v.ceph.mgrs.names(), l.host()) {
		alive = append(alive, "mgr."+l.host()+" is in the mgr map")
	}
	if len(alive) > 0 {
		b.plan.Block(l.Name, "daemons-up", "wait a minute if it died just now; else it can be reached by the other nodes: cephctl node modify --offline=yes "+l.Name,
			"does not answer, but is not dead: %s", strings.Join(alive, ", "))
	}
	if l.mon {
		if text := b.v.ceph.quorum.losing(l.host(), nil); text != "" {
			b.plan.Block(l.Name, "mon-majority", "bring the other mons back first", "%s", text)
		}
	}
}

func (b *builder) buryMon(l *leaving) {
	if l.mon {
		step := b.cephStep(b.v, "mon-out "+l.host(), "take mon."+l.host()+" out of the map", []string{"mon", "remove", l.host()})
		step.Check = func(ctx context.Context) error { return b.checkMajority(ctx, l.host()) }
		b.step(step)
	}
}

func (b *builder) buryOSDs(l *leaving) {
	if len(l.osds) > 0 {
		b.step(b.cephStep(b.v, "out "+l.Name, "have the data of "+names(l.osds)+" made anew on other OSDs",
			append([]string{"osd", "out"}, numbers(l.osds)...)))
		b.step(b.waitHealed(l))
		var commands [][]string
		for _, id := range l.osds {
			commands = append(commands, []string{"osd", "purge", numbers([]int{id})[0], "--yes-i-really-mean-it"})
		}
		b.step(b.cephStep(b.v, "purge "+l.Name, "take "+names(l.osds)+" out of the cluster", commands...))
	}
	if b.v.ceph.tree.hasHost(l.host()) {
		b.step(b.cephStep(b.v, "crush "+l.host(), "take host "+l.host()+" out of the CRUSH map", []string{"osd", "crush", "rm", l.host()}))
	}
}

// waitHealed waits until the placement groups live without OSDs that are down. For lack of places they may stay
// undersized.
func (b *builder) waitHealed(l *leaving) control.Step {
	lack := b.cannotHeal(l)
	if lack != "" {
		b.plan.Note("%s: placement groups stay undersized until there is another node", lack)
	}
	return control.Step{
		ID: "healed " + l.Name, Node: b.v.master.Name, Title: "wait until every placement group lives without " + names(l.osds),
		Commands: []string{"ceph status    # again and again, for as long as it takes"},
		Do: func(ctx context.Context, progress func(string)) error {
			calm := 0
			return b.poll(ctx, drainTimeout, progress, tolerate(func(ctx context.Context) (string, error) {
				status, err := b.status(ctx)
				if err != nil {
					return "", err
				}
				lacks := status.unhealed(lack != "")
				if lacks != "" {
					calm = 0
					return lacks, nil
				}
				// Twice in a row: right after the OSDs went out, recovery has not begun yet.
				if calm++; calm < 2 {
					return "looking once more", nil
				}
				return "", nil
			}))
		},
	}
}

// unhealed says which placement groups are on their way, or need what is gone; nothing when none does. A group is well
// when it is active, and clean or, where undersized ones are let pass, has all the copies that there is a place for.
func (c *clusterStatus) unhealed(undersized bool) string {
	for _, s := range c.Pgmap.States {
		flags := strings.Split(s.Name, "+")
		has := func(flag string) bool { return slices.Contains(flags, flag) }
		well := has("active") && (has("clean") || undersized && has("undersized")) && !slices.ContainsFunc(flags, isUnwell)
		if !well {
			return fmt.Sprintf("%d of %d placement groups are %s", s.Count, c.Pgmap.Total, s.Name)
		}
	}
	return ""
}

// isUnwell tells of a flag of a placement group that it is on its way, or that nobody knows how it is.
func isUnwell(flag string) bool {
	switch flag {
	case "stale", "peering", "activating", "down", "incomplete", "creating", "unknown", "inconsistent":
		return true
	}
	return strings.HasPrefix(flag, "backfill") || strings.HasPrefix(flag, "recover") || strings.HasPrefix(flag, "forced_")
}

// daemonNames returns what an agent says runs on a node, for messages.
func daemonNames(list []node.DaemonFacts) string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = d.String()
	}
	return strings.Join(out, ", ")
}
