package ganeti

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/ssconf"
)

func TestCluster(t *testing.T) {
	fake, _, i := newInventory(t)
	fake.files["/2/info"] = sample(t, "info")
	fake.files["/2/groups"] = sample(t, "groups_bulk")
	fake.files["/2/nodes"] = sample(t, "nodes_bulk")
	fake.files["/2/instances"] = sample(t, "instances_bulk")
	got, err := i.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vms := map[string]string{"pool": "vms"}
	want := control.Cluster{
		Name: "cluster.lab", Master: "node1.lab", AdminClients: true, MasterStays: true,
		Release:    "3.0.2",
		DiskParams: map[string]control.Values{"rbd": {"access": {"userspace"}, "pool": {"vms"}}},
		Preset:     preset(),
		Groups: []control.Group{
			{Name: "default"},
			{Name: "storage", DiskParams: map[string]control.Values{"rbd": {"access": {"userspace"}, "pool": {"vms"}}}},
		},
		Instances: []control.Instance{
			{
				Name: "inst1.lab", UUID: "6cf23ad9-1d1e-460e-ad3b-298bfa75efa2", Node: "node2.lab", Status: "running", MemoryBytes: 64 << 20, VCPUs: 1,
				Disks: []control.Disk{
					{UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53", Template: "rbd", Where: vms, SizeBytes: 144 << 20, Own: map[string]string{"cache": "writeback"}},
					{UUID: "b3d7c340-57b1-48fe-b74d-c77d870a94b8", Template: "rbd", Where: vms, SizeBytes: 64 << 20, Own: map[string]string{"cache": "writeback"}},
				},
				NICs: []control.NIC{{UUID: "e7dd9d01-afb4-4edb-8259-7782fc1e4cb4", Mode: "bridged", Bridge: "br0", MAC: "aa:00:00:ec:6d:e8"}},
			},
			{
				Name: "inst2.lab", UUID: "d8bd4d27-6203-4417-a80a-cccc2a3bde90", Node: "node2.lab", Status: "running", MemoryBytes: 64 << 20, VCPUs: 1,
				Disks: []control.Disk{{UUID: "1cfbabe4-edd3-4742-9301-a7d18696cd99", Template: "rbd", Where: vms, SizeBytes: 64 << 20, Own: map[string]string{"cache": "writeback"}}},
				NICs:  []control.NIC{{UUID: "7bb2ddf1-2ca2-41f9-a2bc-8abc0d4b2904", Mode: "bridged", Bridge: "br0", MAC: "aa:00:00:9b:94:9f"}},
			},
		},
		Nodes: []control.Node{
			{Name: "node1.lab", Address: "10.77.0.1", Group: "default"},
			{Name: "node2.lab", Address: "10.77.0.2", Group: "default", InstanceMemoryBytes: 128 << 20},
			{Name: "node3.lab", Address: "10.77.0.3", Group: "storage"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
}

func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		do    func(*Inventory) error
		want  []string
		ran   []string
	}{
		"add group": {nil, func(i *Inventory) error { return i.AddGroup(t.Context(), "ssd") }, []string{
			`POST /2/groups?reason=cephctl {"name":"ssd"}`,
		}, nil},
		"remove group": {nil, func(i *Inventory) error { return i.RemoveGroup(t.Context(), "ssd") }, []string{
			`DELETE /2/groups/ssd?reason=cephctl`,
		}, nil},
		"assign": {nil, func(i *Inventory) error { return i.AssignNodes(t.Context(), "ssd", "a.lab", "b.lab") }, []string{
			`PUT /2/groups/ssd/assign-nodes?reason=cephctl {"nodes":["a.lab","b.lab"]}`,
		}, nil},
		"offline": {
			map[string]string{"/2/nodes/a.lab": `{"name": "a.lab", "offline": false}`},
			func(i *Inventory) error { return i.SetOffline(t.Context(), "a.lab", true) },
			[]string{`POST /2/nodes/a.lab/modify?reason=cephctl {"auto_promote":true,"offline":true}`},
			nil,
		},
		"offline already": {
			map[string]string{"/2/nodes/a.lab": `{"name": "a.lab", "offline": true}`},
			func(i *Inventory) error { return i.SetOffline(t.Context(), "a.lab", true) }, nil, nil,
		},
		"readd": {
			map[string]string{"/2/nodes/a.lab": `{"name": "a.lab", "offline": true}`},
			func(i *Inventory) error { return i.SetOffline(t.Context(), "a.lab", false) }, nil,
			[]string{"gnt-node add --readd --no-ssh-key-check a.lab"},
		},
		"add node": {
			nil, func(i *Inventory) error { return i.AddNode(t.Context(), control.Node{Name: "d.lab", Group: "ssd"}) }, nil,
			[]string{"gnt-node add --no-ssh-key-check --node-group ssd d.lab"},
		},
		"remove node": {
			nil, func(i *Inventory) error { return i.RemoveNode(t.Context(), "d.lab") }, nil, []string{"gnt-node remove d.lab"},
		},
		"mark": {
			map[string]string{"/2/nodes/a.lab/tags": `["other"]`},
			func(i *Inventory) error { return i.MarkNode(t.Context(), "a.lab", "ceph") },
			[]string{`PUT /2/nodes/a.lab/tags?reason=cephctl&tag=distributed-storage%3Aceph`},
			nil,
		},
		"marked already": {
			map[string]string{"/2/groups/ssd/tags": `["distributed-storage:ceph"]`},
			func(i *Inventory) error { return i.MarkGroup(t.Context(), "ssd", "ceph") }, nil, nil,
		},
		"unmark": {
			map[string]string{"/2/groups/ssd/tags": `["other", "distributed-storage:ceph"]`, "/2/groups": `[]`, "/2/filters": `[]`},
			func(i *Inventory) error { return i.MarkGroup(t.Context(), "ssd", "") },
			[]string{`DELETE /2/groups/ssd/tags?reason=cephctl&tag=distributed-storage%3Aceph`},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake, runner, i := newInventory(t)
			for path, answer := range c.files {
				fake.files[path] = answer
			}
			for _, line := range c.ran {
				runner.Add(controltest.Answer{Command: line})
			}
			if err := c.do(i); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, fake.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if got := runner.Lines(); !slices.Equal(got, c.ran) {
				t.Errorf("ran %q, want %q", got, c.ran)
			}
			if len(c.want) > 0 && fake.looks < 2 {
				t.Error("the job was not waited for")
			}
		})
	}
}

func TestJobsThatFail(t *testing.T) {
	for _, c := range []struct {
		sample, want string
		is           error
	}{
		{"assign_bad.job", "Ganeti's job 7 ended with error: Node 'nodeX.lab' not known (not in the inventory)", control.ErrUnknown},
		{"grp_mod_bad.job", "Ganeti's job 7 ended with error: Unknown parameter 'poolx'", nil},
	} {
		fake, _, i := newInventory(t)
		fake.job = sample(t, c.sample)
		err := i.AssignNodes(t.Context(), "storage", "nodeX.lab")
		if err == nil || err.Error() != c.want || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// TestRefused wants it said of what Ganeti has refused beforehand that nothing was done, and of nothing else.
func TestRefused(t *testing.T) {
	result := func(kind string) string {
		return `{"status": "error", "opresult": [["` + kind + `", ["no"]]]}`
	}
	for name, c := range map[string]struct {
		job  string
		want bool
	}{
		"by its checks":     {sample(t, "assign_bad.job"), true},
		"for a parameter":   {sample(t, "grp_mod_bad.job"), true},
		"by a hook":         {result("HooksAbort"), true},
		"canceled":          {`{"status": "canceled", "opresult": ["Job canceled by request"]}`, true},
		"in the middle":     {result("OpExecError"), false},
		"after another":     {`{"status": "error", "opresult": [true, ["OpPrereqError", ["no"]]]}`, false},
		"canceled later":    {`{"status": "canceled", "opresult": [true, "Job canceled by request"]}`, false},
		"without a reason":  {`{"status": "error", "opresult": []}`, false},
		"nobody knows when": {`{"status": "error", "opresult": [null]}`, false},
	} {
		fake, _, i := newInventory(t)
		fake.job = c.job
		if err := i.AddGroup(t.Context(), "ssd"); err == nil || errors.Is(err, control.ErrNotDone) != c.want {
			t.Errorf("%s: error %v, nothing done: %t", name, err, !c.want)
		}
	}
}

// TestNotAccepted wants the same of requests that were not accepted; the job of one that was goes on, even if nobody may look at
// it any more.
func TestNotAccepted(t *testing.T) {
	fake, rapi := newFake(t)
	fake.deny = map[string]int{"/2/groups": http.StatusForbidden, "/2/nodes/a.lab/modify": http.StatusBadGateway, "/2/jobs/7": http.StatusUnauthorized}
	for path, want := range map[string]bool{"/2/groups": true, "/2/nodes/a.lab/modify": false, "/2/modify": false} {
		var status *StatusError
		err := rapi.change(t.Context(), http.MethodPost, path, nil, nil)
		if !errors.As(err, &status) || errors.Is(err, control.ErrNotDone) != want {
			t.Errorf("%s: error %v, nothing done: %t", path, err, !want)
		}
	}
}

func TestCommandsRefused(t *testing.T) {
	for said, want := range map[string]bool{
		"Failure: prerequisites not met for this operation:\nerror type: wrong_state, error details:\nNode still has instances\nmore\nand more": true,
		"Failure: hooks execution failed:\n  node: node1.lab, script: node-remove-pre.d/x, output: no":                                          true,
		"Failure: command execution error:\nCannot run":                                                                                         false,
	} {
		_, runner, i := newInventory(t)
		runner.Add(controltest.Answer{Command: "gnt-node remove d.lab", Code: 1, Stderr: said})
		if err := i.RemoveNode(t.Context(), "d.lab"); err == nil || errors.Is(err, control.ErrNotDone) != want {
			t.Errorf("%s: nothing done: %t", said, !want)
		}
	}
}

func TestUnknown(t *testing.T) {
	_, _, i := newInventory(t)
	err := i.MarkNode(t.Context(), "nodeX.lab", "ceph")
	if !errors.Is(err, control.ErrUnknown) || err.Error() != "node nodeX.lab is not in the inventory of Ganeti" {
		t.Errorf("error %v", err)
	}
	// Another server than Ganeti's.
	err = known(&StatusError{Code: http.StatusNotFound, Message: "Not Found"}, "/2/groups")
	if errors.Is(err, control.ErrUnknown) || err.Error() != "Ganeti's remote API says 404 Not Found" {
		t.Errorf("error %v", err)
	}
}

func TestOtherCandidates(t *testing.T) {
	dir := t.TempDir()
	site := &Site{files: ssconf.Dir(dir), Master: "node1.lab"}
	if _, err := site.OtherCandidates(); err == nil {
		t.Error("no error without the file")
	}
	if err := os.WriteFile(filepath.Join(dir, "ssconf_master_candidates"), []byte("node1.lab\nnode3.lab\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := site.OtherCandidates()
	if diff := cmp.Diff([]control.Node{{Name: "node3.lab", Address: "node3.lab"}}, got); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
}
