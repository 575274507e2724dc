package loopcheck

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

// newHost returns a host that is made of text, with osd.1.
func newHost(t *testing.T) Host {
	t.Helper()
	root, run := loopbacktest.Root(t, "../../ceph/loopback/testdata/node.txtar"), t.TempDir()
	osd, err := asoktest.Listen(filepath.Join(run, "ceph-osd.1.asok"), map[string][]byte{"get_mapped_pools": []byte("[1,2]")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { osd.Close() })
	loopbacktest.Write(t, root, "ganeti/instance-disks/web1:0", "-> /dev/rbd2")
	return Host{
		Name: "node1", GanetiRun: filepath.Join(root, "ganeti"),
		Reader: loopback.Options{
			Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"), CephRun: run, CephLib: t.TempDir(),
		},
	}
}

// newChecker returns a checker on a host with Ceph's configuration.
func newChecker(t *testing.T, answers ...controltest.Answer) *Checker {
	t.Helper()
	config := filepath.Join(t.TempDir(), "ceph.conf")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return &Checker{
		Env:  &control.Env{Runner: controltest.NewRunner(t, answers...), Version: "v1", Parallel: 2},
		Host: newHost(t), Config: config,
	}
}

var clusterAnswers = []controltest.Answer{
	{Command: "ceph --connect-timeout 15 osd dump", Stdout: `{"pools":[{"pool":1,"pool_name":"rbd","pg_num":1},{"pool":9,"pool_name":"far","pg_num":1},{"pool":2,"pool_name":"vms","pg_num":4}]}`},
	{Command: "ceph --connect-timeout 15 pg ls-by-osd osd.1", Stdout: `{"pg_ready":true,"pg_stats":[{"pgid":"2.0","acting_primary":1},{"pgid":"2.3","acting_primary":4}]}`},
	{Command: "rbd info --format json --pool vms --image disk7", Stdout: `{"name":"disk7","data_pool":"far"}`},
	{Command: "rbd info --format json --pool vms --image disk9 --namespace tenant", Stdout: `{"name":"disk9"}`},
}

// levels are the levels of a report by device, with a question mark where they are not known.
func levels(r Report) map[string]string {
	got := map[string]string{}
	for _, i := range r.Images {
		got[i.Device] = i.Verdict.Level.String()
		if !i.Verdict.Known {
			got[i.Device] += "?"
		}
	}
	return got
}

func TestHere(t *testing.T) {
	r := newChecker(t, clusterAnswers...).Here(t.Context(), Query{})
	want := map[string]string{
		"rbd0": "info", "rbd1": "notice", "rbd2": "warning", "rbd3": "warning", "rbd4": "critical", "rbd5": "info",
		"rbd6": "none", "rbd7": "none", "nbd0": "info", // the cluster knows the pools of the last two
	}
	if diff := cmp.Diff(want, levels(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Node != "node1" || r.Level != loopback.Critical || !r.Known || len(r.Missing) != 0 {
		t.Errorf("report of %s: level %s, known %v, missing %v", r.Node, r.Level, r.Known, r.Missing)
	}
	if diff := cmp.Diff(&loopback.Share{PGs: 4, Primary: 1, Any: 2}, r.Images[2].Share); diff != "" {
		t.Errorf("share (-want +got):\n%s", diff)
	}
	if disk7 := r.Images[7]; disk7.Device != "rbd7" || disk7.DataPool != "far" ||
		!cmp.Equal(disk7.Share, &loopback.Share{PGs: 1}) || !cmp.Equal(disk7.HeaderShare, r.Images[2].Share) {
		t.Errorf("image with a data pool: %+v", disk7)
	}
	if r.Images[2].Instance != "web1" {
		t.Errorf("instance = %q", r.Images[2].Instance)
	}
}

// A clone counts for the pool of its parent, too.
func TestHereParent(t *testing.T) {
	c := newChecker(t, clusterAnswers...)
	parent := filepath.Join(c.Host.Reader.Sysfs, "devices/rbd/6/parent")
	if err := os.WriteFile(parent, []byte("pool_id 2\npool_name vms\nimage_id 10a6f2a2b3c1\noverlap 4096\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := c.Here(t.Context(), Query{})
	if got := levels(r)["rbd6"]; got != "info" {
		t.Errorf("level %s", got)
	}
	if diff := cmp.Diff(map[string]loopback.Share{"vms": {PGs: 4, Primary: 1, Any: 2}}, r.Images[6].ParentShares); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
}

// A node may have OSDs and images of another cluster beside: nothing of this one is said of them.
func TestHereTwoClusters(t *testing.T) {
	const own, other = "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21", "00000000-6a3c-4c3d-9d6b-0c1c8a9f7e21"
	answers := slices.Clone(clusterAnswers)
	answers[0].Stdout = strings.Replace(answers[0].Stdout, "{", `{"fsid":"`+own+`",`, 1)
	c := newChecker(t, answers...)
	dir := filepath.Join(c.Host.Reader.CephRun, other)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	osd, err := asoktest.Listen(filepath.Join(dir, "ceph-osd.7.asok"), map[string][]byte{"get_mapped_pools": []byte("[2]")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { osd.Close() })
	for _, device := range []string{"2", "7"} {
		name := filepath.Join(c.Host.Reader.Sysfs, "devices/rbd", device, "cluster_fsid")
		if err := os.WriteFile(name, []byte(other+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := c.Here(t.Context(), Query{})
	if got := r.Missing[loopback.SourceShares]; !strings.Contains(got, "rbd7 is an image of another cluster") {
		t.Errorf("missing: %q", got)
	}
	if disk1, disk2 := r.Images[1], r.Images[2]; disk1.Share == nil || disk1.Share.Any != 2 || disk2.Share != nil {
		t.Errorf("shares: %+v of the own cluster, %+v of the other", disk1.Share, disk2.Share)
	}
	if got := levels(r); got["rbd2"] != "warning" || got["rbd7"] != "none?" {
		t.Errorf("levels %v", got)
	}
}

// Without an answer of the cluster the judgement stands, but for rbd-nbd.
func TestHereWithoutCluster(t *testing.T) {
	for name, tc := range map[string]struct {
		checker func(*Checker)
		answers []controltest.Answer
		want    string
	}{
		"no configuration": {checker: func(c *Checker) { c.Config = filepath.Join(t.TempDir(), "ceph.conf") }, want: "there is no "},
		"no answer":        {answers: []controltest.Answer{{Command: "ceph", Code: 1, Stderr: "timed out"}}, want: "timed out"},
		"no image":         {answers: append(slices.Clone(clusterAnswers), controltest.Answer{Command: "rbd info", Code: 2, Stderr: "No such file"}, controltest.Answer{Command: "rbd info --format json --pool vms --image disk9 --namespace tenant", Code: 2, Stderr: "No such file"}), want: "No such file"},
		"odd answer":       {answers: []controltest.Answer{{Command: "ceph", Stdout: "{}"}}, want: "no pools"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChecker(t, tc.answers...)
			if tc.checker != nil {
				tc.checker(c)
			}
			r := c.Here(t.Context(), Query{})
			if got := levels(r); got["rbd2"] != "warning" || got["nbd0"] != "none?" {
				t.Errorf("levels = %v", got)
			}
			if got := r.Missing[loopback.SourceShares]; !strings.Contains(got, tc.want) {
				t.Errorf("missing: %q, want %q in it", got, tc.want)
			}
		})
	}
}

func TestNodes(t *testing.T) {
	host := newHost(t)
	c := newChecker(t, clusterAnswers...)
	c.Env.Transport = &controltest.Transport{Nodes: map[string]controltest.Node{
		"node1": func(r agent.Request) (any, error) {
			if r.Storage != Name || r.Version != "v1" {
				t.Errorf("request %+v", r)
			}
			return host.Handle(t.Context(), r.Action, r.Payload, nil)
		},
	}}
	reports := c.Nodes(t.Context(), []control.Node{{Name: "node2"}, {Name: "node1"}}, Query{})
	if len(reports) != 2 || reports[0].Node != "node2" || reports[0].Error == "" || reports[0].Known || reports[0].Images == nil {
		t.Fatalf("reports = %+v", reports)
	}
	// What went over the wire is judged like what did not.
	if diff := cmp.Diff(levels(c.Here(t.Context(), Query{})), levels(reports[1])); diff != "" {
		t.Errorf("(-here +there):\n%s", diff)
	}
}

// Also of a host on which nothing is mapped it is told which pools its OSDs serve.
func TestHereWithoutMappings(t *testing.T) {
	c := newChecker(t)
	c.Host.Reader.Sysfs = t.TempDir()
	r := c.Here(t.Context(), Query{})
	if r.Level != loopback.None || !r.Known || len(r.Images) != 0 || len(r.Missing) != 0 {
		t.Errorf("report = %+v", r)
	}
	if len(r.OSDs) != 1 || r.OSDs[0].ID != 1 || len(r.OSDs[0].Pools) != 2 {
		t.Errorf("OSDs = %+v", r.OSDs)
	}
}

func TestHandleRefuses(t *testing.T) {
	if _, err := (Host{}).Handle(t.Context(), "remove", nil, nil); err == nil || !strings.Contains(err.Error(), "observe") {
		t.Errorf("err = %v", err)
	}
	if _, err := (Host{}).Handle(t.Context(), agent.ActionObserve, json.RawMessage(`[]`), nil); err == nil {
		t.Error("no error for an odd payload")
	}
}

// What is in flight is watched until it has ended or the time is over.
func TestObserveWatches(t *testing.T) {
	host := newHost(t)
	f, err := host.Observe(t.Context(), Query{Watch: watchEvery / 2})
	if err != nil {
		t.Fatal(err)
	}
	if m := f.Mappings[2]; m.InFlight != 1 || m.Oldest == 0 {
		t.Errorf("in flight %d, for %s: not watched", m.InFlight, m.Oldest)
	}
}
