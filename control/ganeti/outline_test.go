package ganeti

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
)

// newOutlined returns an inventory of which the API answers what Ganeti 3.0.2 did.
func newOutlined(t *testing.T) (*fakeRAPI, *Inventory) {
	t.Helper()
	fake, _, i := newInventory(t)
	fake.files["/2/info"] = `{"diskparams": {"rbd": {"access": "userspace", "pool": "rbd"}, "drbd": {"resync-rate": 61440}}}`
	for _, kind := range []string{"group", "node", "instance", "job"} {
		fake.files["/2/query/"+kind] = sample(t, "query_"+kind)
	}
	return fake, i
}

func TestOutline(t *testing.T) {
	fake, i := newOutlined(t)
	o, err := i.Outline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := control.Cluster{
		Name: "cluster.lab", Master: "node1.lab", AdminClients: true, MasterStays: true, Groups: []control.Group{{Name: "default", Mark: "ceph"}},
		Nodes: []control.Node{
			{Name: "node1.lab", Address: "198.19.242.11", Group: "default", Mark: "ceph"},
			{Name: "node2.lab", Address: "198.19.242.12", Group: "default", Mark: "ceph", InstanceMemoryBytes: 128 << 20},
			{Name: "node3.lab", Address: "198.19.242.13", Group: "default", Mark: "ceph"},
		},
	}
	if diff := cmp.Diff(want, o.Cluster); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
	if got := o.InstancesOf("default", "rbd"); strings.Join(got, " ") != "inst1.lab inst2.lab" {
		t.Errorf("instances: %q", got)
	}
	if got := append(o.InstancesOf("default", "plain"), o.InstancesOf("other", "rbd")...); len(got) > 0 {
		t.Errorf("instances without disks, or elsewhere: %q", got)
	}
	g, ok := o.Group("default")
	if byUUID, same := o.Group(g.UUID); !ok || !same || byUUID.Name != "default" {
		t.Errorf("group: %+v, by its UUID: %+v", g, byUUID)
	}
	// The group has an access of its own, and the cluster's pool all the same.
	got := o.Disk(cephstorage.Template{Pool: "none"}, g)
	if got["pool"] != "rbd" || got["access"] != g.DiskParams.Text("rbd", "access") || got["user"] != "admin" || got["conf"] != "/etc/ceph/ceph.conf" {
		t.Errorf("disk parameters: %v", got)
	}
	fake.files["/2/query/node"] = `{"data": [[[0, 7]]]}`
	if _, err := i.Outline(t.Context()); err == nil || !strings.Contains(err.Error(), "read Ganeti's configuration: read what Ganeti says of a node") {
		t.Errorf("a node whose name is a number: %v", err)
	}
	delete(fake.files, "/2/query/node")
	if _, err := i.Outline(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "read Ganeti's configuration: ") {
		t.Errorf("without an answer: %v", err)
	}
}

func TestRunning(t *testing.T) {
	fake, i := newOutlined(t)
	find := func(code string) []Op {
		t.Helper()
		ops, err := i.Running(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		return ops
	}
	if ops := find("OP_INSTANCE_STARTUP"); len(ops) > 0 {
		t.Errorf("what has ended runs: %+v", ops)
	}
	running := strings.NewReplacer(`"error"`, `"running"`, `"success"`, `"running"`)
	fake.files["/2/query/job"] = running.Replace(fake.files["/2/query/job"])
	if ops := find("OP_INSTANCE_STARTUP"); len(ops) != 1 || ops[0].Instance != "inst2.lab" || !ops[0].ByWatcher() {
		t.Errorf("start: %+v", ops)
	}
	if ops := find("OP_GROUP_SET_PARAMS"); len(ops) != 1 || ops[0].Group != "default" || ops[0].ByWatcher() || ops[0].DiskParams.Text("rbd", "access") != "kernelspace" {
		t.Errorf("group: %+v", ops)
	}
	want := `PUT /2/query/job {"fields":["ops","opstatus"],"qfilter":["=","status","running"]}`
	if len(fake.asked) != 3 || fake.asked[0] != want {
		t.Errorf("asked %q, want %q", fake.asked, want)
	}
	fake.files["/2/query/job"] = `{"data": [[[0, [{"OP_ID": "OP_X", "group_name": 7}]], [0, ["running"]]]]}`
	if _, err := i.Running(t.Context(), "OP_X"); err == nil || !strings.HasPrefix(err.Error(), "read OP_X of Ganeti's") {
		t.Errorf("another form: %v", err)
	}
	delete(fake.files, "/2/query/job")
	if _, err := i.Running(t.Context(), "OP_X"); err == nil || !strings.Contains(err.Error(), "look at Ganeti's jobs: Ganeti's remote API says 404") {
		t.Errorf("without an answer: %v", err)
	}
}

// answerQuery answers a query with a filter, which is a PUT that changes nothing.
func (f *fakeRAPI) answerQuery(w http.ResponseWriter, path string) bool {
	if !strings.HasPrefix(path, "/2/query/") {
		return false
	}
	answer, ok := f.files[path]
	if !ok {
		refuse(w, http.StatusNotFound, "Nothing matches the given URI")
		return true
	}
	_, _ = w.Write([]byte(answer))
	return true
}
