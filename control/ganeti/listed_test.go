package ganeti

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

func TestListed(t *testing.T) {
	const (
		groupList = "gnt-group list --no-headers '--separator=|' --output=name,uuid,tags"
		nodeList  = "gnt-node list --no-headers '--separator=|' --output=name,group.uuid,pip,offline,tags"
	)
	groups := controltest.Answer{Command: groupList, Stdout: "storage|u1|['distributed-storage:ceph', 'rack:7']\nspare|u2|[]\n"}
	nodes := controltest.Answer{
		Command: nodeList, Stdout: "node2.lab|u2|10.9.0.2|Y|\nnode1.lab|u1|10.9.0.1|N|rack:7,distributed-storage:ceph\n",
	}
	site := &Site{Cluster: "cluster.lab", Master: "node1.lab"}

	runner := controltest.NewRunner(t)
	runner.Add(groups, nodes)
	got, err := Listed(t.Context(), site, runner)
	want := control.Cluster{
		Name: "cluster.lab", Master: "node1.lab", AdminClients: true, MasterStays: true,
		Groups: []control.Group{{Name: "spare"}, {Name: "storage", Mark: "ceph"}},
		Nodes: []control.Node{
			{Name: "node1.lab", Address: "10.9.0.1", Group: "storage", Mark: "ceph"},
			{Name: "node2.lab", Address: "10.9.0.2", Group: "spare", Offline: true},
		},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, cluster (-want +got):\n%s", err, diff)
	}

	for name, answers := range map[string][]controltest.Answer{
		"no master daemon":      {{Command: groupList, Code: 1, Stderr: "Cannot communicate with the master daemon."}},
		"only groups":           {groups, {Command: nodeList, Code: 1}},
		"with a field too many": {groups, {Command: nodeList, Stdout: "node1.lab|u1|10.9.0.1|N||\n"}},
	} {
		runner := controltest.NewRunner(t)
		runner.Add(answers...)
		if _, err := Listed(t.Context(), site, runner); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
