package cephstorage

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// snapshot is the model without what is random or of no account: uuids, times, who is the active mgr.
type snapshot struct {
	Mons   []simMon
	Quorum []string
	OSDs   []simOSD
	Up     []string
	Pools  []simPool
	Rules  []simRule
	Hosts  []string
	Config map[string]string
	Keys   []string
	Nodes  []simNode

	Inventory   control.Cluster
	Group       string
	Initialised bool
	HasID       bool
	Clients     []string
	Kept        map[string][]string
	Options     map[string]map[string][]string
	// FirstKeys tells whether the file of the first keys lies about.
	FirstKeys bool
}

func (s *sim) snapshot() snapshot {
	s.t.Helper()
	out := snapshot{
		Mons: slices.Clone(s.mons), Quorum: s.quorum(), Rules: slices.Clone(s.rules), Hosts: slices.Sorted(slices.Values(s.hosts)),
		Config: maps.Clone(s.config), Keys: slices.Sorted(maps.Keys(s.keys)), FirstKeys: exists(s.path(monKeyringPath)),
	}
	slices.SortFunc(out.Mons, func(a, b simMon) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(out.Quorum)
	uuids := map[string]string{}
	for _, o := range s.osds {
		uuids[o.UUID] = osdName(o.ID)
		out.OSDs = append(out.OSDs, simOSD{ID: o.ID, Host: o.Host, Class: o.Class, Weight: o.Weight, Destroyed: o.Destroyed})
		if s.isUp(osdName(o.ID)) {
			out.Up = append(out.Up, osdName(o.ID))
		}
	}
	slices.SortFunc(out.OSDs, func(a, b simOSD) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(out.Up)
	for _, p := range s.pools {
		out.Pools = append(out.Pools, *p)
	}
	for _, n := range s.sorted() {
		out.Nodes = append(out.Nodes, s.snapshotNode(n, uuids))
	}
	st := s.load()
	if own := st.Storage[Name]; own != nil {
		out.Group, out.Initialised, out.HasID, out.Options, out.Kept, out.Clients = own.Group, !own.Initialised.IsZero(), own.ID != "", own.Nodes, own.Pools, own.Clients
	}
	var err error
	if out.Inventory, err = s.env.Inventory.Cluster(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *sim) snapshotNode(n *simNode, uuids map[string]string) simNode {
	out := simNode{Name: n.Name, Host: n.Host, Conf: strings.ReplaceAll(n.Conf, s.load().Storage[Name].ID, "FSID"), Info: n.Info}
	if s.load().Storage[Name].ID == "" {
		out.Conf = n.Conf
	}
	out.Keyrings, out.Daemons, out.Disks = map[string]string{}, map[string]*simDaemon{}, map[string]*simDisk{}
	for name := range n.Keyrings {
		out.Keyrings[name] = "there"
	}
	for name, d := range n.Daemons {
		out.Daemons[name] = &simDaemon{Daemon: d.Daemon, Active: d.Active, Enabled: d.Enabled, Device: d.Device}
	}
	for path, d := range n.Disks {
		disk := &simDisk{}
		if d.osd != nil {
			disk.content = uuids[d.osd.UUID]
		}
		out.Disks[path] = disk
	}
	return out
}
