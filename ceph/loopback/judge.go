package loopback

import (
	"cmp"
	"slices"
	"time"
)

const (
	// pressureFull is the share of a minute, and availableShare that of all memory, from which memory counts as short.
	pressureFull   = 0.01
	availableShare = 0.05
	// StuckAfter is how long a request to an OSD of this node may take. Ceph itself calls it slow after this time.
	StuckAfter = 30 * time.Second
)

// Verdict is what was judged of one mapping.
type Verdict struct {
	// Level is valid when Known; else it is the least that it can be, and Unknown says what was not to be found out.
	Level   Level    `json:"level"`
	Known   bool     `json:"known"`
	Reason  Reason   `json:"reason"`
	Unknown []string `json:"unknown,omitempty"`
	// Local are the OSDs of this node that have a part of the pool. With none, LocalKnown tells whether there is none.
	Local      []int `json:"local_osds"`
	LocalKnown bool  `json:"local_osds_known"`
	// Pools are the names of the pools that they have a part of, of those that writes to the image wait for.
	Pools []string `json:"local_pools"`
	// Pressure and Stuck tell whether memory is short, and whether requests to an OSD of this node do not end.
	Pressure bool `json:"memory_pressure"`
	Stuck    bool `json:"stuck"`
	// Cures are the ways out, best first.
	Cures []Cure `json:"cures"`
}

// truth is what is known of a condition.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// Judge returns the level of one mapping. What is not known is taken once at its best and once at its worst: only when
// both give the same level is it known.
func Judge(n Node, m Mapping) Verdict {
	local, osds := n.serves(m)
	pressure := n.Memory.short()
	stuck := m.InFlight > 0 && m.Oldest >= StuckAfter
	reason, worst := m.used()

	least := level(local == yes, pressure == yes, stuck, reason)
	most := level(local != no, pressure != no, stuck, worst)
	v := Verdict{
		Level: least, Known: least == most, Reason: reason, Local: osds, LocalKnown: local != unknown, Pools: n.pools(m),
		Pressure: pressure == yes, Stuck: stuck && local == yes,
	}
	if !v.Known {
		v.Unknown = unknowns(m, local, pressure)
	}
	if most > None {
		v.Cures = cures(m, v.Pools, worst, most)
	}
	return v
}

func level(local, pressure, stuck bool, reason Reason) Level {
	switch {
	case !local:
		return None
	case stuck, reason == Swap:
		return Critical
	case reason == Idle:
		return Info
	case reason == Direct:
		return Notice
	case pressure:
		return Critical
	}
	return Warning
}

// serves tells whether OSDs of this node have a part of the mapping's pool, and which.
func (n Node) serves(m Mapping) (truth, []int) {
	result := no
	if !n.OSDsKnown {
		result = unknown
	}
	osds := []int{}
	for _, o := range n.OSDs {
		if !o.mayBeOf(m.FSID) {
			continue
		}
		switch {
		case o.Known() && o.writes(m):
			result = yes
			osds = append(osds, o.ID)
		case m.PoolID == 0, !o.Known():
			result = max(result, unknown)
		}
	}
	return result, osds
}

// pools returns the names of the pools that OSDs of this node have a part of and writes to the image wait for: that of its data
// first, then of its object map, then of its parents.
func (n Node) pools(m Mapping) []string {
	names := []string{}
	for _, p := range m.waitsFor() {
		served := slices.ContainsFunc(n.OSDs, func(o OSD) bool { return o.mayBeOf(m.FSID) && o.has(p.ID) })
		if served && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// waitsFor are the pools that writes to the image wait for. That of its data has the id 0 while it is not known.
func (m Mapping) waitsFor() []Pool {
	pools := []Pool{{ID: m.PoolID, Name: cmp.Or(m.DataPool, m.Pool)}}
	if m.ObjectMap {
		pools = append(pools, Pool{ID: m.HeaderPoolID, Name: m.Pool})
	}
	for _, p := range m.Parents {
		pools = append(pools, Pool{ID: p.PoolID, Name: p.Pool})
	}
	return pools
}

// writes tells whether the OSD has a part of a pool that writes to the image wait for.
func (o OSD) writes(m Mapping) bool {
	return slices.ContainsFunc(m.waitsFor(), func(p Pool) bool { return o.has(p.ID) })
}

func (o OSD) has(pool uint64) bool {
	for _, p := range o.Pools {
		if p == pool {
			return true
		}
	}
	return false
}

// used returns the worst use that was seen, and the worst that there may be.
func (m Mapping) used() (seen, worst Reason) {
	seen = Idle
	for _, u := range m.Uses {
		seen = worse(seen, u.Reason)
	}
	if m.ReadOnly {
		return Idle, Idle
	}
	worst = seen
	for _, r := range m.Unseen {
		if r != PageCache || !m.Untouched {
			worst = worse(worst, r)
		}
	}
	return seen, worst
}

// short tells whether memory is short. Where the kernel does not count pressure, what is available decides alone.
func (m Memory) short() truth {
	switch {
	case m.HasPSI && m.Full > pressureFull,
		m.HasInfo && float64(m.Available) < availableShare*float64(m.Total):
		return yes
	case m.HasInfo:
		return no
	}
	return unknown
}

// unknowns says what keeps the level from being known.
func unknowns(m Mapping, local, pressure truth) []string {
	var said []string
	switch {
	case local != unknown:
	case m.PoolID == 0:
		said = append(said, "which pool has the data of the image")
	default:
		said = append(said, "which pools the OSDs of this node serve")
	}
	if seen, worst := m.used(); seen != worst {
		said = append(said, "who has the device open")
	}
	if pressure == unknown {
		said = append(said, "whether memory is short")
	}
	return said
}
