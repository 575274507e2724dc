package e2e

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// testLoopbackStart refuses the kernel the images that OSDs of its node serve, as real OSDs and mons say it: of a node with
// osd.0 and osd.1, where the pool far is on osd.2. The kernel is made of text.
func testLoopbackStart(t *testing.T, cluster *lab.Ceph, options loopback.Options) {
	lab.RequireGuest(t)
	ceph := func(args ...string) {
		t.Helper()
		if _, err := cluster.Ceph(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	ceph("osd", "crush", "rm-device-class", "osd.2")
	ceph("osd", "crush", "set-device-class", "far", "osd.2")
	ceph("osd", "crush", "rule", "create-replicated", "far", "default", "osd", "far")
	ceph("osd", "pool", "create", "far", "8", "8", "replicated", "far")
	ceph("osd", "pool", "set", "far", "min_size", "1")
	ceph("osd", "pool", "application", "enable", "far", "rbd")
	for _, pool := range []string{"vms", "far"} {
		if err := cluster.CreateImage(t.Context(), pool, "risk", 8); err != nil {
			t.Fatal(err)
		}
	}
	near, err := os.MkdirTemp("", "run") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(near) })
	for _, osd := range []string{"osd.0", "osd.1"} {
		socket := cluster.AdminSocket(osd)
		if err := os.Link(socket, filepath.Join(near, filepath.Base(socket))); err != nil {
			t.Fatal(err)
		}
	}
	options.CephRun = near
	s := loopbackSite(t, options)

	for _, test := range []struct {
		pool, access, cache string
		opts                instance.StartOptions
		// blocked is what the refusal says, noted what is only said.
		blocked, noted string
	}{
		{pool: "vms", access: "kernelspace", cache: "writeback", blocked: "osd.0, osd.1 of this node has a part of its pool vms: loopback level 3 (warning)"},
		{pool: "vms", access: "kernelspace", cache: "writeback", opts: instance.StartOptions{AllowLoopback: true}, noted: "loopback level 3 (warning)"},
		{pool: "vms", access: "kernelspace", cache: "none", noted: "loopback level 2 (notice)"},
		{pool: "vms", access: "userspace", cache: "writeback", opts: instance.StartOptions{Map: true}, blocked: "loopback level 3 (warning)"},
		{pool: "vms", access: "userspace", cache: "writeback"},
		{pool: "far", access: "kernelspace", cache: "writeback"},
	} {
		t.Run(fmt.Sprintf("%s %s %s %+v", test.pool, test.access, test.cache, test.opts), func(t *testing.T) {
			set := control.Values{"access": {test.access}, "cache": {test.cache}, "user": {"guest"}, "conf": {cluster.GuestConf}}
			change(t, s.Env, func(i control.InstanceInventory) error { return i.SetDiskParams(t.Context(), "", "rbd", set) })
			plan, err := s.Env.Preview(t.Context(), s.Start(test.pool+".lab", test.opts, nil))
			if err != nil {
				t.Fatal(err)
			}
			blocked := make([]string, len(plan.Blockers))
			for i, b := range plan.Blockers {
				blocked[i] = b.Case + " " + b.Text
			}
			switch {
			case test.blocked != "" && (len(blocked) != 1 || !strings.HasPrefix(blocked[0], "loopback ") || !strings.Contains(blocked[0], test.blocked)):
				t.Errorf("blockers %q, want %q", blocked, test.blocked)
			case test.blocked == "" && (len(blocked) > 0 || len(plan.Steps) != 1):
				t.Errorf("blockers %q, steps %v", blocked, plan.Steps)
			}
			if notes := strings.Join(plan.Notes, "\n"); (test.noted == "") != (notes == "") || !strings.Contains(notes, test.noted) {
				t.Errorf("notes %q, want %q", notes, test.noted)
			}
		})
	}
	// An OSD that hangs does not say what it serves, and just then nothing of the cluster must be mapped.
	t.Run("OSD stopped", func(t *testing.T) {
		if err := cluster.Signal("osd.0", syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := cluster.Signal("osd.0", syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}()
		risk, err := cephstorage.NewDiskHost(&run.Runner{}, options).Risk(t.Context(), control.DiskSpec{
			Disk:   control.Disk{Template: "rbd", Image: "risk"},
			Params: map[string]string{"pool": "far", "access": "kernelspace", "cache": "writeback", "user": "guest", "conf": cluster.GuestConf},
		})
		if err != nil || !risk.Refused() || !strings.Contains(risk.Text, "nobody can say which pools the OSDs of this node serve") {
			t.Errorf("risk %+v, %v", risk, err)
		}
	})
}

// loopbackSite is an installation with one node, whose agent is in this process, and an instance for each pool.
func loopbackSite(t *testing.T, options loopback.Options) *instance.Instances {
	t.Helper()
	runner := &run.Runner{}
	handler := guest.Handler{Runner: runner, Disks: map[string]control.DiskHost{"rbd": cephstorage.NewDiskHost(runner, options)}}
	store := &controltest.Store{}
	env := &control.Env{
		Inventory: local.New(store, "here"), Store: store, Log: slog.New(slog.DiscardHandler), Parallel: 1,
		Transport: &controltest.Transport{Nodes: map[string]controltest.Node{"here": func(r agent.Request) (any, error) {
			return handler.Handle(t.Context(), r.Action, r.Payload, func(string) {})
		}}},
	}
	inventory := local.New(store, "here")
	change(t, env, func(i control.InstanceInventory) error {
		var errs []error
		errs = append(errs, inventory.AddNode(t.Context(), control.Node{Name: "here"}))
		for _, pool := range []string{"vms", "far"} {
			errs = append(errs, i.AddInstance(t.Context(), control.Instance{
				Name: pool + ".lab", UUID: control.NewUUID(), Node: "here", MemoryBytes: 32 << 20, VCPUs: 1,
				Disks: []control.Disk{{UUID: control.NewUUID(), Template: "rbd", Image: "risk", SizeBytes: 8 << 20, Where: map[string]string{"pool": pool}}},
			}))
		}
		return errors.Join(errs...)
	})
	return &instance.Instances{Env: env, Storage: []control.StorageType{cephstorage.Type{}}, RunDir: t.TempDir()}
}

// change changes the inventory under its lock.
func change(t *testing.T, env *control.Env, do func(control.InstanceInventory) error) {
	t.Helper()
	release, err := env.Store.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := do(env.Inventory.(control.InstanceInventory)); err != nil {
		t.Fatal(err)
	}
}
