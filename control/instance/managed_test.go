package instance_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// manager is an inventory that starts and stops instances itself.
type manager struct {
	control.Inventory
	// done are the jobs that were done.
	done []string
	// template, when set, is that of all disks.
	template string
}

var _ control.InstanceManager = (*manager)(nil)

func (*manager) RunDir() string { return "/run/ganeti" }

func (m *manager) Images(_ context.Context, i control.Instance) (control.Instance, error) {
	for n := range i.Disks {
		i.Disks[n].Template = stdcmp.Or(m.template, i.Disks[n].Template)
	}
	return i, nil
}

func (*manager) Traps(string, control.DiskSpec) []string { return []string{"is known to bite"} }

func (m *manager) job(text string) control.Job {
	return control.Job{Text: text, Do: func(context.Context) error {
		m.done = append(m.done, text)
		return nil
	}}
}

func (m *manager) StartJob(name string) control.Job { return m.job("start " + name) }

func (m *manager) StopJob(name string, timeout time.Duration) control.Job {
	return m.job(fmt.Sprintf("stop %s %s", name, timeout))
}

func (m *manager) ChangeDiskParams(_ control.DiskTemplate, group string, _, wanted control.Values) (control.Job, error) {
	return m.job(fmt.Sprintf("group %s %v", group, wanted)), nil
}

// managed returns a rig whose inventory starts instances itself. Its node says before of the instance, and after once a job was done.
func managed(t *testing.T, before, after guest.Look) (*rig, *manager, *instance.Instances) {
	t.Helper()
	rig := newRig(t, &refusal{})
	m := &manager{Inventory: rig.env.Inventory}
	rig.env.Inventory = m
	rig.env.Transport = &controltest.Transport{Nodes: map[string]controltest.Node{"node1": func(agent.Request) (any, error) {
		if slices.ContainsFunc(m.done, func(job string) bool { return !strings.HasPrefix(job, "group") }) {
			return after, nil
		}
		return before, nil
	}}}
	return rig, m, &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}}
}

func look(running bool, driver string, watchers ...string) guest.Look {
	l := guest.Look{Disks: []guest.DiskLook{{Driver: driver, Access: "userspace", ImageState: control.ImageState{Exists: true, Watchers: watchers}}}}
	if running {
		l.Guest = &kvm.Status{PID: 7, State: "running"}
	}
	return l
}

func TestManagedStart(t *testing.T) {
	mapped := look(true, "rbd", "10.0.0.1:0/5")
	mapped.Disks[0].MappedBy = "10.0.0.1:0/5"
	for _, test := range []struct {
		name          string
		before, after guest.Look
		opts          instance.StartOptions
		done          []string
		failed        string
		blocked       string
	}{
		{name: "userspace", after: look(true, "rbd", "10.0.0.1:0/7"), done: []string{"start web1"}},
		{name: "not by librbd", after: look(true, "host_device", "10.0.0.1:0/7"), done: []string{"start web1"}, failed: "disk 0 is not as it should be: QEMU has it open through host_device and not through librbd"},
		{name: "nobody watches", after: look(true, "rbd"), done: []string{"start web1"}, failed: "no client of the cluster has image disk1 open"},
		{name: "the kernel alone watches", after: mapped, done: []string{"start web1"}, failed: "no client of the cluster has image disk1 open"},
		{name: "no such disk", after: look(true, "", "10.0.0.1:0/7"), done: []string{"start web1"}, failed: "QEMU has no such disk"},
		{name: "no process", after: look(false, ""), done: []string{"start web1"}, failed: "no process runs it"},
		{
			name: "other access", after: look(true, "host_device", "10.0.0.1:0/7"), opts: instance.StartOptions{Access: "kernelspace"},
			done: []string{"group default map[access:[kernelspace]]", "start web1"},
		},
		{name: "access that holds already", after: look(true, "rbd", "10.0.0.1:0/7"), opts: instance.StartOptions{Access: "userspace"}, done: []string{"start web1"}},
		{name: "runs already", before: look(true, "rbd", "10.0.0.1:0/7")},
		{
			name: "runs already with another access", before: look(true, "rbd", "10.0.0.1:0/7"), opts: instance.StartOptions{Access: "kernelspace"},
			done: []string{"group default map[access:[kernelspace]]"},
		},
		{name: "open elsewhere", before: look(false, "", "10.0.0.9:0/7"), blocked: "image-in-use"},
		{name: "on another node", opts: instance.StartOptions{Node: "node2"}, failed: "gnt-instance failover -n node2 web1"},
		{name: "mapped", opts: instance.StartOptions{Map: true}, failed: "gnt-instance activate-disks web1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.before.Disks == nil {
				test.before = look(false, "")
			}
			rig, m, s := managed(t, test.before, test.after)
			plan, err := rig.env.Execute(t.Context(), s.Start("web1", test.opts, &kvm.Status{}), &consentUI{})
			if diff := cmp.Diff(test.done, m.done); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
			switch {
			case test.blocked != "":
				if !errors.Is(err, control.ErrBlocked) || plan.Blockers[0].Case != test.blocked {
					t.Errorf("error %v, plan %+v", err, plan)
				}
			case test.failed == "" && err != nil, test.failed != "" && (err == nil || !strings.Contains(err.Error(), test.failed)):
				t.Errorf("error %v, want %q", err, test.failed)
			}
		})
	}
}

// TestManagedStartOtherDisks tells that an access is nothing for disks of other templates.
func TestManagedStartOtherDisks(t *testing.T) {
	rig, m, s := managed(t, guest.Look{}, guest.Look{Guest: &kvm.Status{PID: 7}})
	m.template = "file"
	plan, err := rig.env.Execute(t.Context(), s.Start("web1", instance.StartOptions{Access: "userspace"}, &kvm.Status{}), &consentUI{})
	if err != nil || !slices.Equal(m.done, []string{"start web1"}) || !slices.Equal(plan.Notes, []string{"instance web1 has no disk with an access: --access changes nothing"}) {
		t.Errorf("%v, jobs %q, plan %+v", err, m.done, plan)
	}
}

func TestManagedStop(t *testing.T) {
	rig, m, s := managed(t, look(true, "rbd", "10.0.0.1:0/7"), look(false, "", "10.0.0.9:0/7"))
	var stopped guest.Stopped
	if _, err := rig.env.Execute(t.Context(), s.Stop("web1", instance.StopOptions{Timeout: time.Second}, &stopped), &consentUI{}); err != nil {
		t.Fatal(err)
	}
	want := guest.Stopped{How: "by Ganeti", Left: []string{"image disk1, which client 10.0.0.9:0/7 has open"}}
	if diff := cmp.Diff(want, stopped); diff != "" || !slices.Equal(m.done, []string{"stop web1 1s"}) {
		t.Errorf("jobs %q, stopped (-want +got):\n%s", m.done, diff)
	}
	rig, m, s = managed(t, look(true, "rbd"), look(true, "rbd"))
	if _, err := rig.env.Execute(t.Context(), s.Stop("web1", instance.StopOptions{}, &stopped), &consentUI{}); err == nil || !strings.Contains(err.Error(), "process 7 still runs it") {
		t.Errorf("of one that runs on: %v, jobs %q", err, m.done)
	}
}

func TestManagedInfo(t *testing.T) {
	l := look(true, "rbd", "10.0.0.1:0/7")
	l.Disks[0].Access, l.Stray = "kernelspace", []string{"rbd:vms/gone"}
	_, _, s := managed(t, l, l)
	info, err := s.Info(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"disk/0: access is kernelspace since its last start, and userspace from the next one on (default)",
		"disk/0: is known to bite",
		"QEMU has rbd:vms/gone open, which is no disk of the instance any more: the guest has not let it go when it was removed",
	}
	if diff := cmp.Diff(want, info.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestManagedList(t *testing.T) {
	rig, m, s := managed(t, guest.Look{}, guest.Look{})
	release, err := rig.store.Lock(t.Context(), "fill")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	keeper := local.New(&rig.store, "node1")
	want := map[string]string{"web1": "unknown Ganeti says "}
	for status, state := range map[string]string{
		"running": "running ", "ADMIN_down": "stopped ", "USER_down": "stopped ", "ADMIN_offline": "stopped ", "ERROR_down": "unknown Ganeti says ERROR_down",
	} {
		name := strings.ReplaceAll(status, "_", "-")
		want[name] = state
		if err := keeper.AddInstance(t.Context(), control.Instance{Name: name, Node: "node1", Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := s.List(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, i := range infos {
		got[i.Name] = i.State + " " + i.Problem
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if m.done != nil {
		t.Errorf("a list has done %q", m.done)
	}
}
