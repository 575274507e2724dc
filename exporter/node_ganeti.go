package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/host"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/ssconf"
)

var (
	ganetiNode = &Family{
		Name: "ganeti_node_info",
		Help: "Always 1 on a node of a Ganeti cluster. It has the group where there is one only: Ganeti tells no node in which it is.",
		Kind: Gauge, Labels: []string{"cluster", "node", "group", "release"},
		Source: "ssconf_*", Cost: "7 files",
	}
	ganetiNodeRole = &Family{
		Name: "ganeti_node_role", Help: "Always 1 for what Ganeti has the node for: master, candidate (to become it), regular or offline.",
		Kind: Gauge, Labels: []string{"node", "role"}, Source: "ssconf_*", Cost: "none more",
	}
	ganetiGroup = &Family{
		Name: "ganeti_group_info", Help: "Always 1 for each node group of the cluster.",
		Kind: Gauge, Labels: []string{"cluster", "group", "uuid"}, Source: "ssconf_nodegroups", Cost: "none more",
	}
)

// one returns the first line of a file of Ganeti's that can't be empty.
func one(files ssconf.Dir, name string) (string, error) {
	lines, err := files.Lines(name)
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("read Ganeti's configuration: %s is empty: run gnt-cluster redist-conf on the master", files.Path(name))
	}
	if err != nil {
		return "", err
	}
	return lines[0], nil
}

// collectGaneti reads what Ganeti says of this node.
func (n *Node) collectGaneti(_ context.Context, b *Batch) error {
	cluster, err := one(n.ganeti, "cluster_name")
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoData
	}
	if err != nil {
		return err
	}
	groups, err := n.ganeti.Lines("nodegroups")
	if err != nil {
		return err
	}
	group := ""
	for _, line := range groups {
		uuid, name, _ := strings.Cut(line, " ")
		b.Add(ganetiGroup, 1, cluster, name, uuid)
		group = name
	}
	if len(groups) > 1 {
		group = ""
	}
	name, role, err := n.role()
	if err != nil {
		return err
	}
	release, err := one(n.ganeti, "release_version")
	if err != nil {
		return err
	}
	b.Add(ganetiNode, 1, cluster, name, group, release)
	b.Add(ganetiNodeRole, 1, name, role)
	return nil
}

// role returns the name by which Ganeti knows this host, and what it has it for.
func (n *Node) role() (name, role string, err error) {
	is := func(node string) bool { return host.Same(node, n.host) }
	nodes, err := n.ganeti.Lines("node_list")
	if err != nil {
		return "", "", err
	}
	at := slices.IndexFunc(nodes, is)
	if at < 0 {
		return "", "", fmt.Errorf("read Ganeti's configuration: it has no node %s: run gnt-cluster redist-conf on the master if it should", n.host)
	}
	name = nodes[at]
	for _, list := range []struct{ file, role string }{
		{"offline_nodes", "offline"}, {"master_node", "master"}, {"master_candidates", "candidate"},
	} {
		nodes, err := n.ganeti.Lines(list.file)
		if err != nil {
			return "", "", err
		}
		if slices.ContainsFunc(nodes, is) {
			return name, list.role, nil
		}
	}
	return name, "regular", nil
}
