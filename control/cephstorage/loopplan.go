package cephstorage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// LoopbackPlan says where instances and the OSDs of their pools meet on a node, and what takes them apart.
type LoopbackPlan struct {
	// Known is false where the inventory does not say how instances reach their images: then all is as with the defaults
	// of Ganeti, whose instances are not seen.
	Known    bool      `json:"known"`
	Meetings []Meeting `json:"meetings"`
	Moves    []Move    `json:"moves"`
	// Missing is why placement groups or sizes are not known; the CRUSH rules stand in for the placement groups.
	Missing []string `json:"missing,omitempty"`
}

// Meeting is a node whose OSDs have a part of a pool that instances of its group use.
type Meeting struct {
	Group string `json:"group"`
	Node  string `json:"node"`
	Pool  string `json:"pool"`
	// Access and Cache are those of the group, Level that at which an instance on the node stands with them.
	Access string         `json:"access"`
	Cache  string         `json:"cache"`
	Level  loopback.Level `json:"level"`
	// PGs is how many placement groups the pool has, Here of how many a copy is on the node. Both are 0 when they are
	// not known.
	PGs  int `json:"pgs"`
	Here int `json:"pgs_here"`
	// Instances are those of the node with a disk in the pool.
	Instances []string `json:"instances"`
}

// Move is a way to take the instances of a group and a pool apart.
type Move struct {
	Group string `json:"group"`
	Pool  string `json:"pool"`
	Text  string `json:"text"`
	// Commands are empty when the move is not possible now: Lacks says what it takes first.
	Commands []string `json:"commands,omitempty"`
	Lacks    string   `json:"lacks,omitempty"`
	// MovesBytes is how much data has to be copied, Restarts are the instances that have to be started anew.
	MovesBytes int64    `json:"moves_bytes"`
	Restarts   []string `json:"restarts"`
}

// PlanLoopback looks where instances with access=kernelspace meet the OSDs of their pools. It changes nothing.
func (s *Storage) PlanLoopback(ctx context.Context) (*LoopbackPlan, error) {
	plan := &control.Plan{}
	v, err := s.observeCluster(ctx, plan)
	switch {
	case err != nil:
		return nil, err
	case v.ceph == nil:
		return nil, fmt.Errorf("ask the Ceph cluster: %w", v.cephErr)
	}
	_, known := s.env.Inventory.(control.DiskParamInventory)
	m := &meeter{v: v, out: &LoopbackPlan{Known: known, Meetings: []Meeting{}, Moves: []Move{}}, acting: map[string]map[string]int{}}
	m.stored = s.stored(ctx, m.out)
	for _, g := range v.cluster.Groups {
		if err := s.meetGroup(ctx, m, g); err != nil {
			return nil, err
		}
	}
	return m.out, nil
}

// meeter collects a LoopbackPlan.
type meeter struct {
	v   *view
	out *LoopbackPlan
	// acting counts the placement groups of a pool by host, and all of them under "".
	acting map[string]map[string]int
	stored map[string]int64
}

// stored returns how many bytes the pools hold, without copies.
func (s *Storage) stored(ctx context.Context, out *LoopbackPlan) map[string]int64 {
	var df struct {
		Pools []struct {
			Name  string `json:"name"`
			Stats struct {
				Stored int64 `json:"stored"`
			} `json:"stats"`
		} `json:"pools"`
	}
	if err := ask(ctx, s, &df, "df"); err != nil {
		out.Missing = append(out.Missing, "how much pools hold: "+reason(err))
	}
	stored := map[string]int64{}
	for _, p := range df.Pools {
		stored[p.Name] = p.Stats.Stored
	}
	return stored
}

// meetGroup adds the meetings of a group's nodes with the pools that its instances use, and the moves.
func (s *Storage) meetGroup(ctx context.Context, m *meeter, g control.Group) error {
	cluster := &m.v.cluster
	template := Type{}.Disks(m.v.state.Options)
	get := control.Getter(cluster.ResolveDisk(template, g))
	one := func(param string) string { return strings.Join(get(param), "") }
	access, cache := one(ParamAccess), one(ParamCache)
	if !m.out.Known {
		access = string(ceph.Kernelspace)
	}
	pools := []string{one(ParamPool)}
	users := map[string][]string{} // of a pool
	for _, i := range cluster.Instances {
		if n, _ := cluster.Node(i.Node); n.Group != g.Name {
			continue
		}
		for _, d := range i.Disks {
			if pool := d.Where[ParamPool]; d.Template == TemplateName && !slices.Contains(users[pool], i.Name) {
				pools, users[pool] = append(pools, pool), append(users[pool], i.Name)
			}
		}
	}
	if ceph.Access(access) != ceph.Kernelspace {
		return nil
	}
	slices.Sort(pools)
	for _, name := range slices.Compact(pools) {
		p := m.v.ceph.pool(name)
		if p == nil {
			continue // named, and not made
		}
		if err := s.count(ctx, m, p); err != nil {
			return err
		}
		if m.meet(g, name, Meeting{Group: g.Name, Pool: name, Access: access, Cache: cache, Level: kernelLevel(cache), PGs: m.acting[name][""]}) {
			m.moves(g, p, users[name])
		}
	}
	return nil
}

// kernelLevel is where an instance whose image the kernel maps stands while memory is not short.
func kernelLevel(cache string) loopback.Level {
	if cache == "none" {
		return loopback.Notice
	}
	return loopback.Warning
}

// meet adds the meetings of a group with one pool, and tells whether there are any.
func (m *meeter) meet(g control.Group, pool string, known Meeting) bool {
	met := false
	for _, n := range m.v.cluster.Members(g.Name) {
		here, ok := m.acting[pool][hostName(n)]
		if n.Offline || !ok {
			continue
		}
		met = true
		meeting := known
		meeting.Node, meeting.Here, meeting.Instances = n.Name, here, []string{}
		for _, i := range m.v.cluster.Instances {
			if i.Node == n.Name && hasDiskIn(i, pool) {
				meeting.Instances = append(meeting.Instances, i.Name)
			}
		}
		m.out.Meetings = append(m.out.Meetings, meeting)
	}
	return met
}

// hasDiskIn tells whether an instance has a disk in a pool.
func hasDiskIn(i control.Instance, pool string) bool {
	return slices.ContainsFunc(i.Disks, func(d control.Disk) bool { return d.Where[ParamPool] == pool })
}

// count finds on which hosts a pool has placement groups, once.
func (s *Storage) count(ctx context.Context, m *meeter, p *poolInfo) error {
	if m.acting[p.Name] != nil {
		return nil
	}
	counts := map[string]int{}
	m.acting[p.Name] = counts
	var list struct {
		Stats []struct {
			Acting []int `json:"acting"`
		} `json:"pg_stats"`
	}
	if err := ask(ctx, s, &list, "pg", "ls-by-pool", p.Name); err != nil {
		if ctx.Err() != nil {
			return err
		}
		m.out.Missing = append(m.out.Missing, "the placement groups of pool "+p.Name+": "+reason(err))
		for _, host := range m.v.ceph.tree.hostsOf(m.v.ceph.osdsOf(p)) {
			counts[host] = 0
		}
		return nil
	}
	counts[""] = len(list.Stats)
	for _, pg := range list.Stats {
		for _, host := range m.v.ceph.tree.hostsOf(pg.Acting) {
			counts[host]++
		}
	}
	return nil
}

// moves adds the ways out of a group and a pool, best first.
func (m *meeter) moves(g control.Group, p *poolInfo, users []string) {
	restarts := append([]string{}, users...)
	move := func(text, lacks string, bytes int64, commands ...string) {
		if lacks != "" {
			commands = nil
		}
		m.out.Moves = append(m.out.Moves, Move{Group: g.Name, Pool: p.Name, Text: text, Commands: commands, Lacks: lacks, MovesBytes: bytes, Restarts: restarts})
	}
	userspace := "cephctl group modify -D rbd:access=userspace " + g.Name
	if !m.out.Known {
		userspace = "gnt-group modify -D rbd:access=userspace " + g.Name
	}
	move("let QEMU open the images itself", "", 0, userspace)

	free, lacks := m.free(g, p), ""
	switch {
	case p.isErasure():
		lacks = fmt.Sprintf("a pool made by hand, as %s is erasure-coded and cephctl makes pools with copies of all data", p.Name)
	case len(free) < p.Size:
		lacks = fmt.Sprintf("%d nodes with OSDs that have no instance of the group and no pool of their own, and there are %d", p.Size, len(free))
	}
	move("keep the images in a pool of nodes on which no instance of the group runs, and run none there", lacks, m.stored[p.Name],
		fmt.Sprintf("cephctl pool create --size %d --on-nodes %s NEWPOOL", p.Size, strings.Join(free, ",")), "rbd deep cp "+p.Name+"/IMAGE NEWPOOL/IMAGE    # each, while its instance is stopped")

	group, lacks := m.clients(p), ""
	if group == "" {
		lacks = "a group of nodes without OSDs of the pool"
	}
	elsewhere := "cephctl instance start --node NODE INSTANCE    # each, after it was stopped"
	if m.v.cluster.Release != "" {
		elsewhere = "gnt-instance migrate -n NODE INSTANCE    # each"
	}
	move("run the instances on nodes of another group", lacks, 0, "cephctl storage add-client "+group, elsewhere)
}

// free are nodes with OSDs on which no instance of the group has a disk in the pool, as "pool create --on-nodes" takes them: of
// those that another pool is kept on, all or none.
func (m *meeter) free(g control.Group, p *poolInfo) []string {
	byClass := map[string][]string{}
	for _, name := range m.idle(g, p) {
		n, _ := m.v.cluster.Node(name)
		class := m.v.ceph.tree.classOf(m.v.ceph.tree.osdsOf(hostName(n))[0])
		if !strings.HasPrefix(class, placePrefix) {
			class = ""
		}
		byClass[class] = append(byClass[class], name)
	}
	free := byClass[""]
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		all := m.v.ceph.tree.hostsOf(m.v.ceph.tree.osdsBelow("default", class))
		if len(free) < p.Size && class != "" && class != m.v.ceph.placeClass(p) && len(byClass[class]) == len(all) {
			free = byClass[class]
		}
	}
	return free
}

// idle are the nodes with OSDs on which no instance of the group has a disk in the pool.
func (m *meeter) idle(g control.Group, p *poolInfo) []string {
	var free []string
	for _, n := range m.v.cluster.Nodes {
		busy := slices.ContainsFunc(m.v.cluster.Instances, func(i control.Instance) bool {
			return i.Node == n.Name && n.Group == g.Name && hasDiskIn(i, p.Name)
		})
		if !n.Offline && !busy && len(m.v.ceph.tree.osdsOf(hostName(n))) > 0 {
			free = append(free, n.Name)
		}
	}
	return free
}

// clients is a group of which no node has OSDs of the pool: one that is a client already, or else any with a node.
func (m *meeter) clients(p *poolInfo) string {
	best := ""
	for _, g := range m.v.cluster.Groups {
		members := m.v.cluster.Members(g.Name)
		meets := slices.ContainsFunc(members, func(n control.Node) bool {
			_, ok := m.acting[p.Name][hostName(n)]
			return ok
		})
		switch {
		case len(members) == 0 || meets:
		case slices.Contains(m.v.state.Clients, g.Name):
			return g.Name
		default:
			best = cmp.Or(best, g.Name)
		}
	}
	return best
}
