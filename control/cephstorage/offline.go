package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// OfflineOptions say how a node is taken offline.
type OfflineOptions struct {
	// NoDrain stops the node's OSDs at once instead of moving their data first.
	NoDrain bool
	// Judge only looks what stands in the way, and plans no steps. It waits for no other node, and asks no further where it
	// has found a reason.
	Judge bool
}

// Offline returns the change that stops and removes a node's daemons and marks it offline.
func (s *Storage) Offline(name, command string, opts OfflineOptions) control.Change {
	return control.Change{
		Kind: "offline", Target: name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planOffline(ctx, name, opts, memory)
		},
	}
}

func (s *Storage) planOffline(ctx context.Context, name string, opts OfflineOptions, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "take " + name + " offline"}
	v, err := s.observeLeaving(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	n, ok := v.cluster.Node(name)
	if !ok {
		return nil, fmt.Errorf("node %s: %w: see \"cephctl node list\"", name, control.ErrUnknown)
	}
	plan.KeepMaster(v.cluster, name)
	b := &builder{Storage: s, v: v, plan: plan}
	leaving := v.nodes[name]
	// One that somebody has moved to another group goes like a member as long as it carries daemons.
	if v.state.Initialised.IsZero() || n.Group != v.state.Group && b.carries(leaving) == "" {
		if !n.Offline {
			b.step(b.setOffline(n, ""))
		}
		return plan, nil
	}
	if n.Offline && n.Mark == "" && len(leaving.facts.Daemons) == 0 {
		return plan, nil
	}
	plan.Down = v.ceph != nil && b.isDown(leaving)
	b.takeAway(ctx, leaving, opts, memory)
	return plan, nil
}

func (s *Storage) observeLeaving(ctx context.Context, name string, opts OfflineOptions) (*view, error) {
	if opts.Judge {
		return s.observeOne(ctx, name)
	}
	return s.observe(ctx, func(n control.Node, st state.Storage) bool {
		return n.Name == name && !st.Initialised.IsZero() || n.Group == st.Group && !n.Offline
	})
}

// setOffline is a step that marks a node offline in the inventory.
func (b *builder) setOffline(n control.Node, mark string) control.Step {
	return control.Step{
		ID: "offline " + n.Name, Node: b.v.master.Name, Title: "mark node " + n.Name + " offline",
		Commands: []string{"inventory: node " + n.Name + " is offline"}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error {
			if err := b.env.Inventory.SetOffline(ctx, n.Name, true); err != nil {
				return err
			}
			return control.Halfway(b.env.Inventory.MarkNode(ctx, n.Name, mark))
		},
	}
}

// runsAnything tells whether any daemon of the node is active.
func (n *nodeView) runsAnything() bool {
	return slices.ContainsFunc(n.facts.Daemons, func(d node.DaemonFacts) bool { return d.Active == "active" })
}

// isOf tells whether a daemon of the node is of a cluster. One that is half made does not say whose it is; ceph.conf does.
func (n *nodeView) isOf(d node.DaemonFacts, fsid string) bool {
	return d.FSID == fsid || d.FSID == "" && n.facts.Conf != nil && n.facts.Conf.FSID == fsid
}

// leaving is what goes with a node.
type leaving struct {
	*nodeView
	// osds are its OSDs in the map; stale those that only the node still has.
	osds  []int
	stale []int
	// halfMade are those that never became daemons; unborn are the numbers of these that the map knows.
	halfMade []node.OSD
	unborn   []int
	mon      bool
	mgr      bool
}

// takeAway plans how a node leaves: what it runs is replaced on the others first, and then stopped and removed.
func (b *builder) takeAway(ctx context.Context, n *nodeView, opts OfflineOptions, memory *control.Memory) {
	if n.err != nil {
		cure := ""
		if !n.isUp() {
			cure = "if it is gone for good: cephctl node remove --dead " + n.Name
		}
		b.plan.Block(n.Name, "node-unreachable", cure, "%v", n.err)
	}
	b.checkCluster(b.v.state.ID)
	rest := b.others(n)
	if len(rest) == 0 {
		b.plan.Block(n.Name, "last-node", "to give the whole storage cluster up: cephctl storage destroy", "is the last node of the storage cluster")
	}
	if len(b.plan.Blockers) > 0 {
		return
	}
	for _, other := range rest {
		if other.err != nil {
			b.plan.Block(other.Name, "node-unreachable", "every node that stays has to be seen first", "%v", other.err)
		}
	}
	var err error
	if b.g, err = setGoal(b.v, b.v.state.Group, b.v.state.ID, rest, memory); err != nil {
		b.plan.Block("", "options", "", "%v", err)
	}
	if len(b.plan.Blockers) > 0 {
		return
	}
	l := b.leavingOf(n)
	resumed := memory.Get("begun") != ""
	begun := resumed || !l.runsAnything()
	memory.Keep("begun", yes)
	b.checkLeave(ctx, l, opts, begun)
	if len(b.plan.Blockers) > 0 || opts.Judge {
		return
	}
	b.addMons()
	b.addMgrs()
	b.removeMon(l)
	b.removeMgr(l)
	b.configureRest()
	if resumed || len(b.plan.Steps) > 0 {
		b.infos(true)
	}
	kept := b.removeOSDs(l, opts)
	b.leave(l, kept)
}

// others returns the online members but one.
func (b *builder) others(n *nodeView) []*nodeView {
	return slices.DeleteFunc(b.v.members(b.v.state.Group), func(m *nodeView) bool { return m == n || m.Offline })
}

func (b *builder) leavingOf(n *nodeView) *leaving {
	c := b.v.ceph
	l := &leaving{nodeView: n, osds: c.tree.osdsOf(n.host()), mon: slices.Contains(c.quorum.names(), n.host()), mgr: slices.Contains(c.mgrs.names(), n.host())}
	for _, d := range n.facts.Daemons {
		id, err := strconv.Atoi(d.ID)
		if d.Role != node.RoleOSD || err != nil || !n.isOf(d, b.v.state.ID) || slices.Contains(l.osds, id) {
			continue
		}
		if c.osds.osd(id) != nil && c.osds.osd(id).UUID == d.UUID {
			l.osds = append(l.osds, id)
		} else {
			l.stale = append(l.stale, id)
		}
	}
	slices.Sort(l.osds)
	l.halfMade = b.halfMade(n, b.v.state.ID, daemons(slices.Concat(l.osds, l.stale)))
	for _, osd := range l.halfMade {
		if known := c.osds.byUUID(osd.UUID); known != nil && !slices.Contains(l.osds, known.ID) {
			l.unborn = append(l.unborn, known.ID)
		}
	}
	return l
}

// causedByLeaving are the health checks that a node which is half gone brings about. Placement groups that have just lost an
// OSD to the weight 0 peer for a while; each step that takes something away asks for itself whether it may.
var causedByLeaving = []string{
	"OSD_DOWN", "OSD_HOST_DOWN", "PG_DEGRADED", "PG_AVAILABILITY", "OBJECT_MISPLACED", "MON_DOWN", "PG_BACKFILL_FULL",
}

// checkLeave asks the cluster whether the node can go: one joint answer for all that it runs.
func (b *builder) checkLeave(ctx context.Context, l *leaving, opts OfflineOptions, begun bool) {
	if begun {
		checkHealth(b.plan, &b.v.ceph.health, causedByLeaving...)
	} else {
		checkHealth(b.plan, &b.v.ceph.health)
	}
	b.checkFlags()
	if l.mon {
		if text := b.v.ceph.quorum.losing(l.host(), b.g.mons); text != "" {
			b.plan.Block(l.Name, "mon-majority", "bring the other mons back first", "%s", text)
		}
	}
	if len(l.osds) == 0 {
		return
	}
	lack := b.cannotHeal(l)
	if lack != "" && !opts.NoDrain {
		b.plan.Block(l.Name, "cannot-drain", "add a node first, or stop its OSDs and keep their data: --no-drain", "its data has nowhere to go: %s", lack)
	}
	if opts.Judge && len(b.plan.Blockers) > 0 {
		return
	}
	withUsage := lack == "" && !begun // data that is on its way counts twice
	if withUsage {
		if df, ok := b.askBoth(ctx, l); ok {
			b.checkSpace(l, df)
			return
		}
	}
	usage := func() *usage { return nil }
	if withUsage {
		usage = b.askUsage(ctx)
	}
	b.checkStop(ctx, l, opts)
	if lack != "" && opts.NoDrain {
		b.plan.Note("%s: the OSDs of %s are stopped and stay in the cluster with their data; \"cephctl node add --readd %s\" starts them again", lack, l.Name, l.Name)
	}
	if df := usage(); df != nil {
		b.checkSpace(l, df)
	}
}

// standstill are the flags of the whole cluster with which data does not move, or nobody sees that an OSD has stopped.
var standstill = []string{"nobackfill", "norebalance", "norecover", "nodown", "noup", "pauserd", "pausewr"}

// checkFlags adds a blocker for flags with which taking something away would not come to an end. They are not taken
// back: somebody else has set them.
func (b *builder) checkFlags() {
	if set := intersect(b.v.ceph.osds.Flags, standstill); len(set) > 0 {
		b.plan.Block("", "health", "ceph osd unset "+set[0]+", if nobody needs it any more",
			"somebody has set %s: nothing can be taken away", strings.Join(set, ", "))
	}
}

// checkStop asks whether the node's OSDs can be stopped together. When their data moves first, a no may only say that
// pools have no copy to spare (size and min_size are the same): it is asked once more when the data has moved, and what
// else could be the reason, unwell placement groups, checkHealth has seen.
func (b *builder) checkStop(ctx context.Context, l *leaving, opts OfflineOptions) {
	err := b.okToStop(ctx, l.osds)
	if err == nil {
		return
	}
	if exitCode(err) == exitBusy && !opts.NoDrain && b.cannotHeal(l) == "" && b.hasNoSpareCopy() {
		b.plan.Note("the OSDs of %s are needed until their data has moved: %s", l.Name, reason(err))
		return
	}
	b.plan.Block(l.Name, "ok-to-stop", "wait until all placement groups are active and clean", "its OSDs can't be stopped together: %s", reason(err))
}

// hasNoSpareCopy tells whether a pool stands still when one copy is missing.
func (b *builder) hasNoSpareCopy() bool {
	return slices.ContainsFunc(b.v.ceph.osds.Pools, func(p poolInfo) bool { return p.Size > 1 && p.MinSize >= p.Size })
}

// losing says why the cluster would lose its quorum without a mon, or nothing: of the map that is left, more than half
// have to be in quorum. Those of stay that are not in the map yet are added before, and wait for their quorum.
func (q *quorum) losing(host string, stay []string) string {
	added := without(stay, q.names())
	rest := append(without(q.names(), []string{host}), added...)
	in := intersect(rest, append(slices.Clone(q.Names), added...))
	if len(in)*2 > len(rest) {
		return ""
	}
	return fmt.Sprintf("without mon.%s, only %d of the %d other mons are in quorum", host, len(in), len(rest))
}

// okToStop asks whether OSDs can be stopped at the same time without making data unavailable.
func (s *Storage) okToStop(ctx context.Context, ids []int) error {
	_, err := s.ceph(ctx, append([]string{"osd", "ok-to-stop"}, numbers(ids)...)...)
	return err
}

// cannotHeal says which pools can't have all their copies without these OSDs, however long one waits, or nothing.
func (b *builder) cannotHeal(l *leaving) string {
	var lacking []string
	for _, p := range b.v.ceph.osds.Pools {
		hosts, osds := b.v.ceph.placesWithout(b.v.ceph.osdsOf(&p), l.osds)
		places, what := hosts, "hosts"
		if b.domainOf(&p) == "osd" {
			places, what = osds, "OSDs"
		}
		if places < p.Size {
			lacking = append(lacking, fmt.Sprintf("pool %s keeps %d copies and %d %s would be left", p.Name, p.Size, places, what))
		}
	}
	return strings.Join(lacking, ", ")
}

// placesWithout counts the hosts and the OSDs of some that can take data when others do not: those that are up and in.
func (c *cephView) placesWithout(of, ids []int) (hosts, osds int) {
	for _, host := range c.tree.hosts() {
		here := 0
		for _, id := range intersect(c.tree.osdsOf(host), of) {
			if o := c.osds.osd(id); o != nil && o.Up == 1 && o.In == 1 && !slices.Contains(ids, id) {
				here++
			}
		}
		osds += here
		hosts += min(here, 1)
	}
	return hosts, osds
}

func (b *builder) domainOf(p *poolInfo) string {
	if r := b.v.ceph.ruleOf(p); r != nil {
		return r.domain()
	}
	return "host"
}

// maxFull is how full the remaining OSDs may get, the ratio from which on Ceph warns.
const maxFull = 0.85

// usage is the answer to `ceph osd df -f json`, or why there is none.
type usage struct {
	Nodes []struct {
		ID   int     `json:"id"`
		KB   float64 `json:"kb"`
		Used float64 `json:"kb_used"`
	} `json:"nodes"`
	err error
}

// askUsage asks how full the OSDs are, while other questions are asked.
func (b *builder) askUsage(ctx context.Context) func() *usage {
	answer := make(chan *usage, 1)
	go func() {
		var u usage
		u.err = ask(ctx, b.Storage, &u, "osd", "df")
		answer <- &u
	}()
	return func() *usage { return <-answer }
}

// askBoth asks how full the OSDs are and whether those of a node can be stopped together, by one process, where they may be
// expected to. It returns false unless they can.
func (b *builder) askBoth(ctx context.Context, l *leaving) (*usage, bool) {
	if !b.v.ceph.mgrs.Available || b.hasNoSpareCopy() {
		return nil, false
	}
	var u usage
	stop := question{args: append([]string{"osd", "ok-to-stop"}, numbers(l.osds)...), read: func([]byte) error { return nil }}
	answered, err := b.askTogether(ctx, about(&u, "osd", "df"), stop)
	return &u, answered && err == nil
}

// checkSpace looks whether the data fits on the OSDs that stay.
func (b *builder) checkSpace(l *leaving, df *usage) {
	if df.err != nil {
		b.plan.Block("", "no-answer", "see whether a mgr is active", "can't tell whether the data fits: %v", df.err)
		return
	}
	used, room := 0.0, 0.0
	for _, n := range df.Nodes {
		used += n.Used
		if !slices.Contains(l.osds, n.ID) {
			room += n.KB
		}
	}
	if room > 0 && used > room*maxFull {
		b.plan.Block(l.Name, "no-space", "add OSDs first", "the OSDs that stay would be %.0f %% full", 100*used/room)
	}
}

func numbers(ids []int) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.Itoa(id)
	}
	return out
}
