package exporter

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/nodeinfo"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/ssconf"
)

var (
	nodeInfo = &Family{
		Name: "cephctl_node_info",
		Help: "Always 1 on a node that cephctl has said what it is: its group, and what storage type it is enabled for.",
		Kind: Gauge, Labels: []string{"cluster", "node", "group", "storage", "fsid"},
		Source: "node.json", Cost: "1 file",
	}
	nodeRole = &Family{
		Name: "cephctl_node_role", Help: "Always 1 for each role that cephctl has given the node (mon, mgr, osd).",
		Kind: Gauge, Labels: []string{"node", "role"}, Source: "node.json", Cost: "none more",
	}
	nodeInfoAge = &Family{
		Name: "cephctl_node_info_age_seconds", Help: "Seconds since cephctl has said what the node is.",
		Kind: Gauge, Source: "node.json", Cost: "none more",
	}
)

// Node reads what cephctl and Ganeti say of this node.
type Node struct {
	path, host string
	ganeti     ssconf.Dir
	now        func() time.Time
}

// NodeOptions say where.
type NodeOptions struct {
	// CephctlState is the folder of cephctl's state, usually /var/lib/cephctl, and GanetiState that of Ganeti's,
	// /var/lib/ganeti.
	CephctlState, GanetiState string
	// Host is the name of this host.
	Host string
}

var _ Collector = (*Node)(nil)

// NewNode returns the node collector.
func NewNode(o NodeOptions) *Node {
	return &Node{path: filepath.Join(o.CephctlState, nodeinfo.Name), ganeti: ssconf.Dir(o.GanetiState), host: o.Host, now: time.Now}
}

// Name returns node.
func (n *Node) Name() string { return "node" }

// Families lists the families of the collector.
func (n *Node) Families() []*Family {
	return []*Family{nodeInfo, nodeRole, nodeInfoAge, ganetiNode, ganetiNodeRole, ganetiGroup}
}

// Targets returns cephctl's file, and Ganeti's.
func (n *Node) Targets(context.Context, *Batch) ([]Target, error) {
	return []Target{{Name: nodeinfo.Name, Collect: n.collect}, {Name: "ssconf", Collect: n.collectGaneti}}, nil
}

func (n *Node) collect(_ context.Context, b *Batch) error {
	info, err := nodeinfo.Read(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoData
	}
	if err != nil {
		return err
	}
	b.Add(nodeInfo, 1, info.Cluster, info.Node, info.Group, info.Storage, info.FSID)
	slices.Sort(info.Roles)
	for _, role := range slices.Compact(info.Roles) {
		b.Add(nodeRole, 1, info.Node, role)
	}
	b.Add(nodeInfoAge, n.now().Sub(info.Time).Seconds())
	return nil
}
