package exporter

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ssconfFiles are those of a node of a real cluster, as Ganeti 3.0 writes them.
var ssconfFiles = map[string]string{
	"cluster_name": "cluster.lab\n", "master_node": "node1.lab\n", "release_version": "3.0.2\n",
	"node_list": "node1.lab\nnode2.lab\nnode3.lab\nnode4.lab\n", "master_candidates": "node1.lab\nnode2.lab\n", "offline_nodes": "node4.lab\n",
	"nodegroups": "d94b0f7c-8f0d-4d52-a3c7-3b2a5d0c9e11 compute\n5f1a6c2e-0d5b-4a43-9a4a-2a5a0d0d9c11 default\n",
}

func ganetiNodeOf(t *testing.T, host string, files map[string]string) *Node {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, "ssconf_"+name), []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return NewNode(NodeOptions{CephctlState: dir, GanetiState: dir, Host: host})
}

func TestNodeGaneti(t *testing.T) {
	checkGolden(t, "testdata/node_ganeti.prom", ownFamilies(t, ganetiNodeOf(t, "node2", ssconfFiles)))
	for host, role := range map[string]string{"node1.lab": "master", "NODE2.lab": "candidate", "node3": "regular", "node4": "offline"} {
		full := strings.ToLower(strings.TrimSuffix(host, ".lab")) + ".lab"
		if got := string(ownFamilies(t, ganetiNodeOf(t, host, ssconfFiles))); !strings.Contains(got, `ganeti_node_role{node="`+full+`",role="`+role+`"} 1`) {
			t.Errorf("%s is no %s:\n%s", host, role, got)
		}
	}
	one := maps.Clone(ssconfFiles)
	one["nodegroups"] = "5f1a6c2e-0d5b-4a43-9a4a-2a5a0d0d9c11 default\n"
	if got := string(ownFamilies(t, ganetiNodeOf(t, "node1", one))); !strings.Contains(got, `ganeti_node_info{cluster="cluster.lab",node="node1.lab",group="default",release="3.0.2"} 1`) {
		t.Errorf("with one group:\n%s", got)
	}
}

// TestNodeGanetiBroken tells what is wrong with Ganeti's files, and what to do, and says nothing of a node that it does not know.
func TestNodeGanetiBroken(t *testing.T) {
	for name, c := range map[string]struct {
		host, file string
		content    string
		want       string
	}{
		"empty":          {"node1", "cluster_name", "", "ssconf_cluster_name is empty: run gnt-cluster redist-conf on the master"},
		"half written":   {"node1", "node_list", "\n", "it has no node node1: run gnt-cluster redist-conf on the master if it should"},
		"another node":   {"node9", "master_node", "node1.lab\n", "it has no node node9: "},
		"without a file": {"node1", "release_version", "gone", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(ssconfFiles)
			files[c.file] = c.content
			if c.content == "gone" {
				delete(files, c.file)
			}
			n := ganetiNodeOf(t, c.host, files)
			if err := n.collectGaneti(t.Context(), new(Batch)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if got := string(ownFamilies(t, n)); strings.Contains(got, "ganeti_node_") {
				t.Errorf("said all the same:\n%s", got)
			}
		})
	}
}
