package cephstorage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// A pool that is kept on some nodes has a CRUSH rule that takes only OSDs of a device class, which the OSDs of these
// nodes have instead of that of their disks. Hosts stay where they are in the CRUSH map: buckets of their own would move
// most of what is stored, and a root of their own would take them from all other pools. An OSD has one class, so that the
// nodes of two such pools are the same or have none in common.

// placePrefix begins the names of these classes and rules. No pool can be called so that it gives the name of another
// rule of cephctl's.
const placePrefix = "on-"

// place is where a pool is to be kept, or is.
type place struct {
	nodes []string
	// class and rule are the names of the device class and of the CRUSH rule, domain the failure domain.
	class, rule, domain string
	osds                []int
}

// osdsBelow returns the OSDs below a bucket that have a class, or any with an empty one, in order.
func (t *tree) osdsBelow(bucket, class string) []int {
	byID := make(map[int]*treeNode, len(t.Nodes))
	var below []int
	for i := range t.Nodes {
		n := &t.Nodes[i]
		byID[n.ID] = n
		if n.Name == bucket {
			below = []int{n.ID}
		}
	}
	var ids []int
	for i := 0; i < len(below); i++ {
		n := byID[below[i]]
		if n == nil {
			continue
		}
		delete(byID, n.ID) // each counts once
		if n.Type == "osd" && (class == "" || n.Class == class) {
			ids = append(ids, n.ID)
		}
		below = append(below, n.Children...)
	}
	slices.Sort(ids)
	return ids
}

// ruleOf returns the rule of a pool, or nil.
func (c *cephView) ruleOf(p *poolInfo) *crushRule {
	i := slices.IndexFunc(c.rules, func(r crushRule) bool { return r.ID == p.Rule })
	if i < 0 {
		return nil
	}
	return &c.rules[i]
}

// osdsOf returns the OSDs that a pool's rule can choose.
func (c *cephView) osdsOf(p *poolInfo) []int {
	bucket, class := "default", ""
	if r := c.ruleOf(p); r != nil {
		bucket, class = r.takes()
	}
	return c.tree.osdsBelow(bucket, class)
}

// hostsOf returns the hosts that have some of these OSDs, in order.
func (t *tree) hostsOf(osds []int) []string {
	var hosts []string
	for _, id := range osds {
		if h := t.hostOf(id); h != "" && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// classOf returns the device class of an OSD.
func (t *tree) classOf(osd int) string {
	for i := range t.Nodes {
		if t.Nodes[i].Type == "osd" && t.Nodes[i].ID == osd {
			return t.Nodes[i].Class
		}
	}
	return ""
}

// setPlace decides how a pool is kept on nodes, and adds what stands in the way. It returns nil when all OSDs of the
// cluster are on these nodes, as then no rule of its own is needed.
func (s *Storage) setPlace(plan *control.Plan, v *view, pool string, nodes []string, size int) (*place, error) {
	p := &place{nodes: slices.Compact(slices.Sorted(slices.Values(nodes))), rule: placePrefix + pool, class: placePrefix + pool, domain: "host"}
	for _, name := range p.nodes {
		n := v.nodes[name]
		if n == nil {
			return nil, fmt.Errorf("node %s: %w: see \"cephctl node list\"", name, control.ErrUnknown)
		}
		if n.err != nil {
			plan.Block(name, "node-unreachable", "", "%v", n.err)
			continue
		}
		osds := v.ceph.tree.osdsOf(n.host())
		if len(osds) == 0 {
			plan.Block(name, "pool-node-without-osds", "name nodes of the storage group, see \"cephctl storage status\"", "has no OSD, so that no pool can be kept on it")
		}
		p.osds = append(p.osds, osds...)
	}
	slices.Sort(p.osds)
	if len(plan.Blockers) > 0 {
		return nil, nil
	}
	if len(p.osds) == len(v.ceph.tree.osdsBelow("default", "")) {
		plan.Note("all OSDs of the cluster are on these nodes: pool %s needs no rule of its own, and is on nodes that are added later, too", pool)
		return nil, nil
	}
	p.checkClasses(plan, v)
	switch {
	case len(p.osds) < size:
		plan.Block("", "pool-too-few-osds", fmt.Sprintf("name more nodes, or keep fewer copies: --size %d", len(p.osds)),
			"pool %s is to keep %d copies, and %s has %d OSDs", pool, size, strings.Join(p.nodes, ", "), len(p.osds))
	case len(p.nodes) < size:
		p.domain = "osd"
		plan.Note("%s: %d nodes and %d copies: copies are kept on different OSDs, not on different hosts", pool, len(p.nodes), size)
	}
	return p, nil
}

// checkClasses finds the class of a place, and adds a blocker where OSDs can't be given it: as another such pool has them
// with others, or as a rule chooses by the class that they have now, so that its data would move.
func (p *place) checkClasses(plan *control.Plan, v *view) {
	c := v.ceph
	for pool, nodes := range v.state.Pools {
		if known := c.pool(pool); known != nil && slices.Equal(nodes, p.nodes) {
			if class := c.placeClass(known); class != "" {
				p.class = class // also when an OSD was added since, and does not have it yet
			}
		}
	}
	for _, id := range p.osds {
		class := c.tree.classOf(id)
		if class == p.class {
			continue
		}
		if strings.HasPrefix(class, placePrefix) {
			same := c.tree.osdsBelow("default", class)
			if slices.Equal(same, p.osds) {
				p.class = class
				return
			}
			plan.Block("", "pool-nodes-overlap", "name the same nodes, or none of them", "%s belongs to pools that are kept on %s",
				osdName(id), strings.Join(c.tree.hostsOf(same), ", "))
			return
		}
		for i := range c.rules {
			if _, taken := c.rules[i].takes(); taken != "" && taken == class {
				plan.Block("", "pool-class-in-use", "use nodes whose OSDs no rule chooses by their class, or another rule for that data",
					"the rule %s chooses OSDs by their device class %s, which %s has: its data would move", c.rules[i].Name, class, osdName(id))
				return
			}
		}
	}
}

// placeClass returns the device class that a pool is kept on nodes by, or "" where it is not.
func (c *cephView) placeClass(p *poolInfo) string {
	r := c.ruleOf(p)
	if r == nil {
		return ""
	}
	if _, class := r.takes(); strings.HasPrefix(class, placePrefix) {
		return class
	}
	return ""
}

// lacking returns the OSDs of a place that do not have its class yet.
func (p *place) lacking(t *tree) []int {
	return keep(p.osds, func(id int) bool { return t.classOf(id) != p.class })
}

// setClass are the commands that give OSDs a device class. No data moves: rules that name no class do not look at it.
func setClass(class string, osds []int) [][]string {
	names := make([]string, len(osds))
	for i, id := range osds {
		names[i] = osdName(id)
	}
	return [][]string{
		append([]string{"osd", "crush", "rm-device-class"}, names...),
		append([]string{"osd", "crush", "set-device-class", class}, names...),
	}
}

// placeSteps are what has to be so before a pool is made on a place.
func (s *Storage) placeSteps(plan *control.Plan, v *view, pool string, p *place) {
	if osds := p.lacking(&v.ceph.tree); len(osds) > 0 {
		plan.Note("no stored data moves: the rules that are in use do not look at the device class that is changed")
		plan.Steps = append(plan.Steps, s.cephStep(v, "class "+p.class, "give the OSDs of "+strings.Join(p.nodes, ", ")+" a device class of their own", setClass(p.class, osds)...))
	}
	if v.ceph.rule(p.rule) == nil {
		plan.Steps = append(plan.Steps, s.cephStep(v, "rule "+p.rule, "make the CRUSH rule "+p.rule,
			[]string{"osd", "crush", "rule", "create-replicated", p.rule, "default", p.domain, p.class}))
	}
	if !slices.Equal(v.state.Pools[pool], p.nodes) {
		plan.Steps = append(plan.Steps, s.rememberPool(v, pool, p.nodes))
	}
}

// rememberPool is a step that remembers the nodes of a pool, or with none forgets them.
func (s *Storage) rememberPool(v *view, pool string, nodes []string) control.Step {
	step := control.Step{
		ID: "nodes of pool " + pool, Node: v.master.Name, Title: "remember the nodes of pool " + pool,
		Commands: []string{"state: pool " + pool + " is kept on " + strings.Join(nodes, ", ")},
		Do: func(context.Context, func(string)) error {
			return s.remember(func(st *state.Storage) {
				if st.Pools == nil {
					st.Pools = map[string][]string{}
				}
				st.Pools[pool] = nodes
				if len(nodes) == 0 {
					delete(st.Pools, pool)
				}
			})
		},
	}
	if len(nodes) == 0 {
		step.Title, step.Commands = "forget the nodes of pool "+pool, []string{"state: pool " + pool + " is forgotten"}
	}
	return step
}

// unplace plans what is left of the place of a pool once that is gone: its rule, when no other pool has it, and the class
// of its OSDs, when no other rule takes it.
func (s *Storage) unplace(ctx context.Context, plan *control.Plan, v *view, pool, rule string) error {
	r := v.ceph.rule(rule)
	used := slices.ContainsFunc(v.ceph.osds.Pools, func(p poolInfo) bool { return r != nil && p.Name != pool && p.Rule == r.ID })
	if strings.HasPrefix(rule, placePrefix) && !used {
		if r != nil {
			plan.Steps = append(plan.Steps, s.cephStep(v, "rule-rm "+rule, "remove the CRUSH rule "+rule, []string{"osd", "crush", "rule", "rm", rule}))
		}
		if err := s.unclass(ctx, plan, v, rule); err != nil {
			return err
		}
	}
	if v.state.Pools[pool] != nil {
		plan.Steps = append(plan.Steps, s.rememberPool(v, pool, nil))
	}
	return nil
}

// unclass plans to give OSDs the class of their disks back, when no rule but one takes what they have.
func (s *Storage) unclass(ctx context.Context, plan *control.Plan, v *view, rule string) error {
	var metadata []struct {
		ID    int    `json:"id"`
		Class string `json:"default_device_class"`
	}
	taken := func(class string) bool {
		return slices.ContainsFunc(v.ceph.rules, func(r crushRule) bool {
			_, c := r.takes()
			return c != "" && c == class && r.Name != rule
		})
	}
	byClass := map[string][]int{}
	for _, id := range v.ceph.tree.osdsBelow("default", "") {
		class := v.ceph.tree.classOf(id)
		if class != "" && !strings.HasPrefix(class, placePrefix) || taken(class) {
			continue // with none it was broken off in between
		}
		if metadata == nil {
			if err := ask(ctx, s, &metadata, "osd", "metadata"); err != nil {
				return err
			}
		}
		for _, m := range metadata {
			if m.ID == id && m.Class != "" {
				byClass[m.Class] = append(byClass[m.Class], id)
			}
		}
	}
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		plan.Steps = append(plan.Steps, s.cephStep(v, "unclass "+class, "give "+names(byClass[class])+" the device class of its disks back", setClass(class, byClass[class])...))
	}
	return nil
}

// joinPlaces gives the OSDs of members the classes of the pools that are kept on them: an OSD that is made anew has that of
// its disk.
func (b *builder) joinPlaces(changes bool) {
	if b.v.ceph == nil {
		return
	}
	for _, pool := range slices.Sorted(maps.Keys(b.v.state.Pools)) {
		p := b.v.ceph.pool(pool)
		if p == nil {
			continue // broken off while it was made
		}
		class := b.v.ceph.placeClass(p)
		if class == "" {
			continue // an admin has given it another rule
		}
		for _, n := range b.g.members {
			if slices.Contains(b.v.state.Pools[pool], n.Name) {
				b.joinPlace(n, class, changes)
			}
		}
	}
}

// joinPlace gives the OSDs of a member a class, those that are not made yet, too.
func (b *builder) joinPlace(n *nodeView, class string, changes bool) {
	host := n.host()
	lacking := func(t *tree) []int {
		return keep(t.osdsOf(host), func(id int) bool { return t.classOf(id) != class })
	}
	made := len(b.v.ceph.tree.osdsOf(host))
	if len(lacking(&b.v.ceph.tree)) == 0 && (made >= len(n.facts.Devices) || !changes) {
		return
	}
	id := "class " + class + " " + n.Name
	if slices.ContainsFunc(b.plan.Steps, func(s control.Step) bool { return s.ID == id }) {
		return // by another pool on the same nodes
	}
	b.step(control.Step{
		ID: id, Node: b.v.master.Name, Title: "keep the pools of " + n.Name + " on all of its OSDs",
		Commands: []string{"ceph osd crush set-device-class " + class + " osd.<id>    # for those that have another"},
		Do: func(ctx context.Context, _ func(string)) error {
			var t tree
			if err := ask(ctx, b.Storage, &t, "osd", "tree"); err != nil {
				return err
			}
			osds := lacking(&t)
			if len(osds) == 0 {
				return nil
			}
			for _, c := range setClass(class, osds) {
				if _, err := b.ceph(ctx, c...); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
