package local_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

func TestNewInstallation(t *testing.T) {
	c, err := local.New(&controltest.Store{}, "node1").Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(control.Cluster{Groups: []control.Group{{Name: "default"}}}, c); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
}

func TestInventory(t *testing.T) {
	i := filled(t)
	ctx := t.Context()
	must(t, i.AssignNodes(ctx, "ssd", "node2.lab", "node3.lab"))
	must(t, i.SetOffline(ctx, "node3.lab", true))
	must(t, i.MarkGroup(ctx, "ssd", "ceph"))
	must(t, i.MarkNode(ctx, "node2.lab", "ceph"))
	must(t, i.RemoveNode(ctx, "node1.lab"))
	must(t, i.RemoveGroup(ctx, "default"))
	must(t, i.AddNode(ctx, control.Node{Name: "node1.lab", Address: "fd00::1", Group: "archive"}))
	want := control.Cluster{
		Name: "cluster.lab", Master: "node2.lab",
		Groups: []control.Group{{Name: "archive"}, {Name: "ssd", Mark: "ceph"}},
		Nodes: []control.Node{
			{Name: "node1.lab", Address: "fd00::1", Group: "archive"},
			{Name: "node2.lab", Address: "node2.lab", Group: "ssd", Mark: "ceph"},
			{Name: "node3.lab", Address: "10.0.0.3", Group: "ssd", Offline: true},
		},
	}
	got, err := i.Cluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		do   func(context.Context, *local.Inventory) error
		is   error
		want string
	}{
		{
			"unknown node", func(ctx context.Context, i *local.Inventory) error { return i.RemoveNode(ctx, "node4.lab") },
			control.ErrUnknown, "node node4.lab is not in the inventory, which has node1.lab, node2.lab, node3.lab",
		},
		{
			"unknown group", func(ctx context.Context, i *local.Inventory) error { return i.MarkGroup(ctx, "sdd", "ceph") },
			control.ErrUnknown, "group sdd is not in the inventory, which has archive, default, ssd",
		},
		{
			"one of several", func(ctx context.Context, i *local.Inventory) error {
				return i.AssignNodes(ctx, "ssd", "node1.lab", "node9.lab")
			},
			control.ErrUnknown, "node node9.lab is not in the inventory",
		},
		{
			"node's group", func(ctx context.Context, i *local.Inventory) error {
				return i.AddNode(ctx, control.Node{Name: "node4.lab", Group: "none"})
			},
			control.ErrUnknown, "group none",
		},
		{
			"group again", func(ctx context.Context, i *local.Inventory) error { return i.AddGroup(ctx, "ssd") },
			control.ErrExists, "group ssd exists already",
		},
		{
			"node again", func(ctx context.Context, i *local.Inventory) error {
				return i.AddNode(ctx, control.Node{Name: "node1.lab"})
			},
			control.ErrExists, "node node1.lab exists already",
		},
		{
			"group with nodes", func(ctx context.Context, i *local.Inventory) error { return i.RemoveGroup(ctx, "default") },
			nil, "group default has nodes (node1.lab, node2.lab, node3.lab): move them to another group first",
		},
		{
			"bad address", func(ctx context.Context, i *local.Inventory) error {
				return i.AddNode(ctx, control.Node{Name: "node4.lab", Address: "-oProxyCommand=x"})
			},
			control.ErrUsage, `"-oProxyCommand=x" is neither an IP address nor the name of a host`,
		},
	}
	for _, bad := range []string{"", "-x", ".x", "a b", "a/b", "ä", "a\n"} {
		tests = append(tests, struct {
			name string
			do   func(context.Context, *local.Inventory) error
			is   error
			want string
		}{
			fmt.Sprintf("bad name %q", bad), func(ctx context.Context, i *local.Inventory) error { return i.AddGroup(ctx, bad) },
			control.ErrUsage, "can't be the name of a group",
		})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := filled(t)
			before, _ := i.Cluster(t.Context())
			err := test.do(t.Context(), i)
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %q that wraps %v", err, test.want, test.is)
			}
			after, _ := i.Cluster(t.Context())
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("it has changed something (-before +after):\n%s", diff)
			}
		})
	}
}

func TestUnknownAmongMany(t *testing.T) {
	store := &controltest.Store{}
	i := local.New(store, "node1")
	lock(t, store)
	for n := range 20 {
		must(t, i.AddNode(t.Context(), control.Node{Name: fmt.Sprintf("node%d.lab", n)}))
	}
	for name, want := range map[string]string{
		"nide7.lab": "node nide7.lab is not in the inventory; did you mean node7.lab?",
		"node7":     "node node7 is not in the inventory; did you mean node7.lab?",
		"unrelated": "node unrelated is not in the inventory",
	} {
		if err := i.SetOffline(t.Context(), name, true); err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestLastGroupStays(t *testing.T) {
	store := &controltest.Store{}
	lock(t, store)
	err := local.New(store, "node1").RemoveGroup(t.Context(), "default")
	if err == nil || !strings.Contains(err.Error(), "the only one") {
		t.Errorf("error %v", err)
	}
}

func TestChangeNeedsTheLock(t *testing.T) {
	err := local.New(&controltest.Store{}, "node1").AddGroup(t.Context(), "ssd")
	if !errors.Is(err, state.ErrNotLocked) {
		t.Errorf("error %v does not wrap ErrNotLocked", err)
	}
}

// filled returns an inventory of three nodes and groups, with the lock held.
func filled(t *testing.T) *local.Inventory {
	t.Helper()
	store := &controltest.Store{}
	lock(t, store)
	i := local.New(store, "node2")
	must(t, i.SetName(t.Context(), "cluster.lab"))
	must(t, i.AddGroup(t.Context(), "ssd"))
	must(t, i.AddGroup(t.Context(), "archive"))
	must(t, i.AddNode(t.Context(), control.Node{Name: "node3.lab", Address: "10.0.0.3"}))
	must(t, i.AddNode(t.Context(), control.Node{Name: "node1.lab", Address: "10.0.0.1", Group: "default"}))
	must(t, i.AddNode(t.Context(), control.Node{Name: "node2.lab"}))
	return i
}

func lock(t *testing.T, store control.Store) {
	t.Helper()
	release, err := store.Lock(t.Context(), "test")
	must(t, err)
	t.Cleanup(release)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestInstances(t *testing.T) {
	i := filled(t)
	ctx := t.Context()
	must(t, i.AddInstance(ctx, control.Instance{Name: "web2", Node: "node1.lab", MemoryBytes: 2 << 30}))
	must(t, i.AddInstance(ctx, control.Instance{Name: "web1", Node: "node1.lab", MemoryBytes: 1 << 30}))
	must(t, i.AddInstance(ctx, control.Instance{Name: "web3", Node: "node1.lab"}))
	must(t, i.MoveInstance(ctx, "web1", "node2.lab"))
	must(t, i.RemoveInstance(ctx, "web3"))
	must(t, i.SetDiskParams(ctx, "", "rbd", control.Values{"pool": {"vms"}}))
	must(t, i.SetDiskParams(ctx, "ssd", "rbd", control.Values{"pool": {"fast"}}))
	must(t, i.SetDiskParams(ctx, "archive", "rbd", control.Values{"pool": {"slow"}}))
	must(t, i.SetDiskParams(ctx, "archive", "rbd", control.Values{}))
	c, err := i.Cluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []control.Instance{{Name: "web1", Node: "node2.lab", MemoryBytes: 1 << 30}, {Name: "web2", Node: "node1.lab", MemoryBytes: 2 << 30}}
	if diff := cmp.Diff(want, c.Instances); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	memory := map[string]int64{}
	for _, n := range c.Nodes {
		memory[n.Name] = n.InstanceMemoryBytes
	}
	if memory["node1.lab"] != 2<<30 || memory["node2.lab"] != 1<<30 {
		t.Errorf("memory of instances: %v", memory)
	}
	params := map[string]map[string]control.Values{"": c.DiskParams}
	for _, g := range c.Groups {
		if len(g.DiskParams) > 0 {
			params[g.Name] = g.DiskParams
		}
	}
	wantParams := map[string]map[string]control.Values{"": {"rbd": {"pool": {"vms"}}}, "ssd": {"rbd": {"pool": {"fast"}}}}
	if diff := cmp.Diff(wantParams, params); diff != "" {
		t.Errorf("disk parameters (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		err, is error
	}{
		{i.AddInstance(ctx, control.Instance{Name: "web1", Node: "node1.lab"}), control.ErrExists},
		{i.AddInstance(ctx, control.Instance{Name: "web4", Node: "node9.lab"}), control.ErrUnknown},
		{i.AddInstance(ctx, control.Instance{Name: "a/b", Node: "node1.lab"}), control.ErrUsage},
		{i.RemoveInstance(ctx, "web9"), control.ErrUnknown},
		{i.MoveInstance(ctx, "web9", "node1.lab"), control.ErrUnknown},
		{i.MoveInstance(ctx, "web1", "node9.lab"), control.ErrUnknown},
		{i.SetDiskParams(ctx, "none", "rbd", nil), control.ErrUnknown},
	} {
		if !errors.Is(test.err, test.is) {
			t.Errorf("error %v, want %v", test.err, test.is)
		}
	}
}
