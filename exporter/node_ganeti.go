package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/host"
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

// ssconf reads what each node of a Ganeti cluster knows without asking anybody: small files of lines, which the master writes
// one by one whenever something changes.
type ssconf struct{ dir string }

// read returns the lines of a file, without the empty ones.
func (s ssconf) read(name string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, "ssconf_"+name))
	if err != nil {
		return nil, fmt.Errorf("read Ganeti's configuration: %w", err)
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool { return strings.TrimSpace(line) == "" }), nil
}

// one returns the first line of a file that can't be empty.
func (s ssconf) one(name string) (string, error) {
	lines, err := s.read(name)
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("read Ganeti's configuration: %s is empty: run gnt-cluster redist-conf on the master", filepath.Join(s.dir, "ssconf_"+name))
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(lines[0]), nil
}

// collectGaneti reads what Ganeti says of this node.
func (n *Node) collectGaneti(_ context.Context, b *Batch) error {
	s := ssconf{n.ganeti}
	cluster, err := s.one("cluster_name")
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoData
	}
	if err != nil {
		return err
	}
	groups, err := s.read("nodegroups")
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
	name, role, err := s.role(n.host)
	if err != nil {
		return err
	}
	release, err := s.one("release_version")
	if err != nil {
		return err
	}
	b.Add(ganetiNode, 1, cluster, name, group, release)
	b.Add(ganetiNodeRole, 1, name, role)
	return nil
}

// role returns the name by which Ganeti knows this host, and what it has it for.
func (s ssconf) role(hostname string) (name, role string, err error) {
	is := func(node string) bool { return host.Same(node, hostname) }
	nodes, err := s.read("node_list")
	if err != nil {
		return "", "", err
	}
	at := slices.IndexFunc(nodes, is)
	if at < 0 {
		return "", "", fmt.Errorf("read Ganeti's configuration: it has no node %s: run gnt-cluster redist-conf on the master if it should", hostname)
	}
	name = nodes[at]
	for _, list := range []struct{ file, role string }{
		{"offline_nodes", "offline"}, {"master_node", "master"}, {"master_candidates", "candidate"},
	} {
		nodes, err := s.read(list.file)
		if err != nil {
			return "", "", err
		}
		if slices.ContainsFunc(nodes, is) {
			return name, list.role, nil
		}
	}
	return name, "regular", nil
}
