package instance_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

var update = flag.Bool("update", false, "write the generated files anew")

// TestMain makes the times in lines the same everywhere.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// answers are those of a node and a cluster where web1 can be started.
func answers() []controltest.Answer {
	const rbd = "rbd --admin-socket= --conf CONF --id instances "
	return []controltest.Answer{
		{Command: "qemu-system-x86_64 -version", Stdout: "QEMU emulator version 7.2.22"},
		{Command: rbd + "info --format json vms/disk1", Stdout: `{"name":"disk1","id":"10267755defc","size":17825792,"format":2}`},
		{Command: rbd + "info --format json vms/none", Code: 2, Stderr: "rbd: error opening image none: (2) No such file or directory"},
		{Command: rbd + "status --format json vms/disk1", Stdout: `{"watchers":[]}`},
		{Command: rbd + "image-meta list --format json vms/disk1", Stdout: `{"cephctl.clients":"10.0.0.9:0/11"}`},
		{Command: rbd + "lock list --format json vms/disk1", Stdout: `[]`},
		{Command: "rados --admin-socket= --conf CONF --id instances --pool vms --format json lock info rbd_header.10267755defc cephctl", Stdout: `{"name":"cephctl","lockers":[]}`},
		{Command: "ceph --admin-socket= --conf CONF --id instances osd dump --format json", Stdout: `{"fsid":"b7f1","pools":[{"pool":1,"pool_name":"rbd"},{"pool":2,"pool_name":"vms"}]}`},
	}
}

// claimed is the answer of the cluster when another instance has the image.
func claimed(node, host string) controltest.Answer {
	claim := fmt.Sprintf(`{"token":"T","instance":"web9","uuid":"u","node":%q,"host":%q,"boot":"b","agent":"1.1","since":"2026-01-02T03:04:05Z"}`, node, host)
	lock, _ := json.Marshal(map[string]any{"lockers": []any{map[string]string{"name": "client.4141", "cookie": "T", "description": claim}}})
	return controltest.Answer{
		Command: "rados --admin-socket= --conf CONF --id instances --pool vms --format json lock info rbd_header.10267755defc cephctl", Stdout: string(lock),
	}
}

// watched is the answer of the cluster when a client has the image open.
func watched(address string) controltest.Answer {
	return controltest.Answer{
		Command: "rbd --admin-socket= --conf CONF --id instances status --format json vms/disk1",
		Stdout:  `{"watchers":[{"address":"` + address + `"}]}`,
	}
}

// failing is what rbd answers when it can't do what it should.
func failing(code int, stderr string) controltest.Answer {
	return controltest.Answer{Command: "rbd --admin-socket= --conf CONF --id instances info --format json vms/disk1", Code: code, Stderr: stderr}
}

// refusal is a row of docs/refusals.md.
type refusal struct {
	kind    string
	answers []controltest.Answer
	prepare func(*rig)
	change  func(*instance.Instances) control.Change
	want    string
}

func start(s *instance.Instances) control.Change {
	return s.Start("web1", instance.StartOptions{}, nil)
}

func remove(opts instance.RemoveOptions) func(*instance.Instances) control.Change {
	return func(s *instance.Instances) control.Change { return s.Remove("web1", opts) }
}

// ownClaim is the answer of the cluster when web1 itself has the image, on node1, which was node9 for its host.
func ownClaim() controltest.Answer {
	a := claimed("node1", "node9")
	a.Stdout = strings.NewReplacer(`\"web9\"`, `\"web1\"`, `\"u\"`, `\"0c3e1d52\"`).Replace(a.Stdout)
	return a
}

// startedElsewhere is the answer of the cluster when web1 has the image on node2, which the inventory does not know of.
func startedElsewhere() controltest.Answer {
	a := ownClaim()
	a.Stdout = strings.NewReplacer("node1", "node2", "node9", "node2").Replace(a.Stdout)
	return a
}

func startBreaking(s *instance.Instances) control.Change {
	return s.Start("web1", instance.StartOptions{BreakClaim: true}, nil)
}

func adding(change func(*control.Instance)) func(*instance.Instances) control.Change {
	return func(s *instance.Instances) control.Change {
		i := control.Instance{Name: "web2", Node: "node1", MemoryBytes: 64 << 20, VCPUs: 1}
		change(&i)
		return s.Add(i)
	}
}

func disk(image string, size int64) func(*control.Instance) {
	return func(i *control.Instance) {
		i.Disks = []control.Disk{{Template: "rbd", Image: image, SizeBytes: size}}
	}
}

var refusals = []refusal{
	{kind: "bridge-missing", prepare: func(r *rig) {
		r.instance.NICs = []control.NIC{{Mode: kvm.ModeBridged, Bridge: "br7"}}
	}, change: start, want: "node1: has no bridge br7 for NIC 0: ip link add br7 type bridge"},
	{
		kind: "device-foreign", prepare: func(r *rig) {
			r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Mapped: "/dev/rbd0", Foreign: true}}
		}, change: start,
		want: `node1: disk 0: image disk1 is mapped as /dev/rbd0 there, and not by cephctl: see who has it by "lsblk /dev/rbd0", and unmap it there: rbd device unmap /dev/rbd0`,
	},
	{
		kind: "device-foreign", prepare: func(r *rig) {
			r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Mapped: "/dev/rbd0", Foreign: true}}
		}, change: func(s *instance.Instances) control.Change {
			return s.Deactivate("web1")
		}, want: `node1: disk 0: image disk1 is mapped as /dev/rbd0 there, and not by cephctl: see who has it by "lsblk /dev/rbd0", and unmap it there: rbd device unmap /dev/rbd0`,
	},
	{
		kind: "device-in-use", prepare: func(r *rig) {
			r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Mapped: "/dev/rbd0", InUse: true}}
		}, change: start,
		want: `node1: disk 0: image disk1 is mapped as /dev/rbd0 there, which is in use: see who has it by "lsblk /dev/rbd0", and unmount it`,
	},
	{
		kind: "device-in-use", prepare: func(r *rig) {
			r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Mapped: "/dev/rbd0", InUse: true}}
		}, change: func(s *instance.Instances) control.Change {
			return s.Deactivate("web1")
		}, want: `node1: disk 0: image disk1 is mapped as /dev/rbd0 there, which is in use: see who has it by "lsblk /dev/rbd0", and unmount it`,
	},
	{
		kind: "disk", answers: []controltest.Answer{failing(5, "rbd: (5) Input/output error")}, change: start,
		want: "node1: disk 0: run rbd --admin-socket= --conf CONF --id instances info --format json vms/disk1: exit status 5: rbd: (5) Input/output error",
	},
	{
		kind: "disk-conf-missing", prepare: func(r *rig) { r.instance.Disks[0].Where["conf"] = "/no/such.conf" }, change: start,
		want: "node1: disk 0: read /no/such.conf: no such file or directory: name the right one by the disk parameter conf",
	},
	{
		kind: "disk-denied", answers: []controltest.Answer{failing(1, "rbd: error opening image disk1: (1) Operation not permitted")}, change: start,
		want: "node1: disk 0: client.instances may not use the images of pool vms: see \"ceph auth get client.instances\", and add \"profile rbd pool=vms\" to what it has for mgr and osd by \"ceph auth caps\"",
	},
	{
		kind: "disk-features", prepare: func(r *rig) { r.maps("[1]"); r.instance.Disks[0].Where["access"] = "kernelspace" }, change: start,
		answers: []controltest.Answer{{
			Command: "rbd --admin-socket= --conf CONF --id instances info --format json vms/disk1",
			Stdout:  `{"name":"disk1","id":"10267755defc","size":17825792,"format":2,"features":["layering","exclusive-lock","journaling"]}`,
		}},
		want: "node1: disk 0: the kernel of this host does not know features of image vms/disk1: journaling: use the disk parameter access=userspace and leave out --map, or while nobody has it open: rbd feature disable vms/disk1 journaling",
	},
	{
		kind: "disk-name", prepare: func(r *rig) {
			r.maps("[1]")
			r.instance.Disks[0].Where["access"], r.instance.Disks[0].Image = "kernelspace", "my disk"
		}, change: start,
		answers: []controltest.Answer{{Command: "rbd --admin-socket= --conf CONF --id instances info --format json 'vms/my disk'", Stdout: `{"id":"1","size":1,"format":2}`}},
		want:    `node1: disk 0: the kernel can't map image "vms/my disk", which has a space in its name: use the disk parameter access=userspace and leave out --map, or give it another name: rbd rename`,
	},
	{kind: "disk-exists", answers: []controltest.Answer{
		{Command: "rbd --admin-socket= --conf CONF --id instances info --format json vms/disk9", Stdout: `{"id":"10267755defc","size":1,"format":2}`},
		{Command: "rbd --admin-socket= --conf CONF --id instances status --format json vms/disk9", Stdout: `{"watchers":[]}`},
	}, change: adding(disk("disk9", 1<<30)), want: "node1: disk 0: there is an image disk9 already: leave out its size to use it as it is, or name another"},
	{
		kind: "disk-no-answer", answers: []controltest.Answer{failing(110, "rbd: couldn't connect to the cluster!")}, change: start,
		want: "node1: disk 0: the cluster does not answer: see \"ceph status\"",
	},
	{
		kind: "disk-no-image", change: adding(disk("none", 0)),
		want: "node1: disk 0: there is no image none: name an image that exists, or give a size to have it made",
	},
	{
		kind: "disk-no-key", answers: []controltest.Answer{failing(13, "monclient: keyring not found\nrbd: couldn't connect to the cluster!")}, change: start,
		want: "node1: disk 0: client.instances can't log in to the cluster (rbd: couldn't connect to the cluster!): it needs its key in /etc/ceph/ceph.client.instances.keyring: cephctl storage init-distributed-storage places that of client.instances",
	},
	{
		kind: "disk-no-krbd", prepare: func(r *rig) { r.instance.Disks[0].Where["access"] = "kernelspace" }, change: start,
		want: "node1: disk 0: the kernel of this host has no module rbd, which maps images as block devices: use the disk parameter access=userspace and leave out --map, or boot a kernel that has it",
	},
	{
		kind: "disk-no-pool", answers: []controltest.Answer{failing(2, "rbd: error opening pool 'vms': (2) No such file or directory")}, change: start,
		want: "node1: disk 0: there is no pool vms: name the right one by the disk parameter pool, or make it: cephctl pool create vms",
	},
	{kind: "disk-tools-missing", answers: []controltest.Answer{{
		Command: "rbd --admin-socket= --conf CONF --id instances info --format json vms/disk1", Err: errors.New("find rbd: executable file not found in $PATH"),
	}}, change: start, want: "node1: disk 0: Ceph's tools are not installed: apt-get install ceph-common"},
	{
		kind: "guest-fenced", prepare: func(r *rig) { r.runs = "node1" }, change: start,
		want: "node1: a guest of instance web1 runs there that has lost image disk1: its claim was taken away: cephctl instance stop --timeout 0s --node node1 web1",
	},
	{
		kind: "image-claimed", answers: []controltest.Answer{claimed("node9", "node9")}, change: start,
		want: "node1: disk 0: image disk1 is claimed by instance web9 on node9 since 2026-01-02 03:04:05, where nobody can be asked (it is no node of the inventory): if that host is dead, keep its client out: --break-claim",
	},
	{
		kind: "image-claimed", answers: []controltest.Answer{claimed("node2", "node2")}, change: start,
		want: "node1: disk 0: image disk1 is claimed by instance web9 on node2 since 2026-01-02 03:04:05, where nobody can be asked (the node is another host now): if that host is dead, keep its client out: --break-claim",
	},
	{
		kind: "image-claimed", answers: []controltest.Answer{claimed("node9", "node9"), watched("10.0.0.9:0/11")}, change: startBreaking,
		want: "node1: disk 0: image disk1 is claimed by instance web9 on node9 since 2026-01-02 03:04:05, whose client 10.0.0.9:0/11 is still there: stop it there first, or wait half a minute if that host has died just now",
	},
	{kind: "image-claimed", answers: []controltest.Answer{
		claimed("node9", "node9"), {Command: "rbd --admin-socket= --conf CONF --id instances image-meta list --format json vms/disk1"},
	}, change: startBreaking, want: "node1: disk 0: image disk1 is claimed by instance web9 on node9 since 2026-01-02 03:04:05, where nobody can be asked (it is no node of the inventory), and its clients are not known: " +
		"bring that host back, or let Ceph keep all of its clients out and take the claim away by hand"},
	{
		kind: "image-claimed", prepare: func(r *rig) { r.maps("[1]") }, answers: []controltest.Answer{claimed("node9", "node9")}, change: func(s *instance.Instances) control.Change {
			return s.Activate("web1", instance.ActivateOptions{}, nil)
		}, want: "node1: disk 0: image disk1 is claimed by instance web9 on node9 since 2026-01-02 03:04:05: stop it there first",
	},
	{
		kind: "image-claimed", prepare: func(r *rig) { r.dead = []string{"node1"} }, answers: []controltest.Answer{ownClaim()}, change: remove(instance.RemoveOptions{}),
		want: "node2: disk 0: image disk1 is claimed by instance web1 on node9 since 2026-01-02 03:04:05, where nobody can be asked (call node1: reach node1: unreachable): if that host is dead, keep its client out: --break-claim",
	},
	{
		kind: "image-claimed", prepare: func(r *rig) { r.dead = []string{"node1"} }, answers: []controltest.Answer{ownClaim(), watched("10.0.0.9:0/11")},
		change: remove(instance.RemoveOptions{BreakClaim: true}),
		want: "node2: disk 0: image disk1 is claimed by instance web1 on node9 since 2026-01-02 03:04:05, whose client 10.0.0.9:0/11 is still there: " +
			"stop it there first, or wait half a minute if that host has died just now",
	},
	{
		kind: "image-claimed", prepare: func(r *rig) { r.proven = map[string]bool{"T": false} }, answers: []controltest.Answer{startedElsewhere()},
		change: remove(instance.RemoveOptions{BreakClaim: true}),
		want:   "node1: disk 0: image disk1 is claimed by instance web1 on node2 since 2026-01-02 03:04:05, which runs or is being started: stop it there first",
	},
	{
		kind: "disk-no-answer", answers: []controltest.Answer{failing(110, "rbd: couldn't connect to the cluster!")}, change: remove(instance.RemoveOptions{}),
		want: "node1: disk 0: the cluster does not answer: see \"ceph status\"",
	},
	{
		kind: "device-in-use", prepare: func(r *rig) {
			r.look = &guest.DiskLook{ImageState: control.ImageState{Exists: true, Mapped: "/dev/rbd0", InUse: true}}
		},
		change: remove(instance.RemoveOptions{}),
		want:   `node1: disk 0: image disk1 is mapped as /dev/rbd0 there, which is in use: see who has it by "lsblk /dev/rbd0", and unmount it`,
	},
	{
		kind: "image-claimed", prepare: func(r *rig) { r.instance.Disks[0].Made = true }, answers: []controltest.Answer{claimed("node9", "node9")}, change: remove(instance.RemoveOptions{Images: true}),
		want: "node1: disk 0: image disk1 is claimed by instance web9 on node9 since 2026-01-02 03:04:05: leave out --images",
	},
	{
		kind: "image-in-use", answers: []controltest.Answer{watched("10.0.0.7:0/42")}, change: start,
		want: "node1: disk 0: image disk1 is open elsewhere, by client 10.0.0.7:0/42: end that first",
	},
	{
		kind: "image-taken", change: adding(disk("disk1", 0)),
		want: "node1: disk 0: image disk1 belongs to instance web1: name another",
	},
	{
		kind: "image-taken", change: adding(func(i *control.Instance) {
			i.Disks = []control.Disk{{Template: "rbd", Image: "none", SizeBytes: 1 << 30}, {Template: "rbd", Image: "none", SizeBytes: 1 << 30}}
		}), want: "node1: disk 1: image none is named twice: name another",
	},
	{
		kind: "instance-exists", change: adding(func(i *control.Instance) { i.Name = "web1" }),
		want: "there is an instance web1 already: see \"cephctl instance info web1\"",
	},
	{
		kind: "instance-memory", prepare: func(r *rig) { r.instance.MemoryBytes = 8 << 30 }, change: start,
		want: "node1: has 1024 MiB of memory free, and the instance wants 8192 MiB: stop another instance, or give it less",
	},
	{kind: "instance-running", prepare: func(r *rig) { r.runs = "node1" }, change: func(s *instance.Instances) control.Change {
		return s.Start("web1", instance.StartOptions{Node: "node2"}, nil)
	}, want: "node1: instance web1 runs there: stop it first: cephctl instance stop web1"},
	{kind: "instance-running", prepare: func(r *rig) { r.runs = "node1" }, change: func(s *instance.Instances) control.Change {
		return s.Remove("web1", instance.RemoveOptions{Images: true})
	}, want: "node1: instance web1 runs there: stop it first: cephctl instance stop web1"},
	{
		kind: "loopback", prepare: func(r *rig) { r.maps("[1,2]"); r.instance.Disks[0].Where["access"] = "kernelspace" }, change: start,
		want: "node1: disk 0: the kernel would write to image disk1 through its page cache, and osd.1 of this node has a part of its pool vms: loopback level 3 (warning): " +
			"let QEMU open it itself, by the disk parameter access=userspace; keep it in a pool of other nodes: cephctl pool create --on-nodes; start it on a node without OSDs of that pool: --node NODE; or take the risk: --allow-loopback",
	},
	{
		kind: "loopback", prepare: func(r *rig) { r.maps("[2]") }, change: func(s *instance.Instances) control.Change {
			return s.Start("web1", instance.StartOptions{Map: true}, nil)
		},
		want: "node1: disk 0: the kernel would write to image disk1 through its page cache, and osd.1 of this node has a part of its pool vms: loopback level 3 (warning): " +
			"leave out --map; keep it in a pool of other nodes: cephctl pool create --on-nodes; start it on a node without OSDs of that pool: --node NODE; or take the risk: --allow-loopback",
	},
	{
		kind: "loopback", prepare: func(r *rig) { r.maps("ERROR: (5)"); r.instance.Disks[0].Where["access"] = "kernelspace" }, change: func(s *instance.Instances) control.Change {
			return s.Activate("web1", instance.ActivateOptions{}, nil)
		},
		want: "node1: disk 0: the kernel would write to image disk1 through its page cache, and nobody can say which pools the OSDs of this node serve, so that it may hang (pool vms): " +
			"let QEMU open it itself, by the disk parameter access=userspace; keep it in a pool of other nodes: cephctl pool create --on-nodes; or take the risk: --allow-loopback",
	},
	{kind: "node-offline", prepare: func(r *rig) { r.offline = true }, change: start, want: "node1: is offline: start it on another: --node NODE"},
	{
		kind: "qemu-missing", answers: []controltest.Answer{{Command: "qemu-system-x86_64 -version", Err: errors.New("executable file not found")}}, change: start,
		want: "node1: QEMU can't be run: executable file not found: apt-get install qemu-system-x86 qemu-block-extra",
	},
}

// rig is a cluster of two nodes with the instance web1 on the first. What the nodes run is answered from a script.
type rig struct {
	runner   *controltest.Runner
	instance control.Instance
	offline  bool
	// runs is the node that says that the instance runs.
	runs string
	// dead are the nodes that do not answer.
	dead []string
	// proven, when set, is what node2 says of claims.
	proven map[string]bool
	// look, when set, is what the nodes say of the disk, and host which host name they say they have.
	look *guest.DiskLook
	host string
	// asked are the requests that would have changed something, by node and action.
	asked map[string]guest.Request
	// mapped, when set, is which pools the OSD of the nodes says that it serves. Then their kernel can map images.
	mapped string
	store  controltest.Store
	env    *control.Env
	calls  []string
}

// maps gives the nodes an OSD, and a kernel with the module rbd.
func (rig *rig) maps(pools string) { rig.mapped = pools }

// addKernel writes what sysfs and an OSD say, where there is one.
func (rig *rig) addKernel(t *testing.T, root string) {
	t.Helper()
	if rig.mapped == "" {
		return
	}
	if err := errors.Join(
		os.MkdirAll(filepath.Join(root, "sys/bus/rbd/devices"), 0o755), os.Mkdir(filepath.Join(root, "ceph"), 0o755),
		os.WriteFile(filepath.Join(root, "sys/bus/rbd/supported_features"), []byte("0x1bf\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	osd, err := asoktest.Listen(filepath.Join(root, "ceph/ceph-osd.1.asok"), map[string][]byte{"get_mapped_pools": []byte(rig.mapped)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { osd.Close() })
}

func newRig(t *testing.T, r *refusal) *rig {
	t.Helper()
	root, err := os.MkdirTemp("", "rig") // that of t has a name which a shell would need quotes for
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	conf := filepath.Join(root, "ceph.conf")
	for name, content := range map[string]string{
		"ceph.conf": "", "proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    1048576 kB\nDirty: 0 kB\nWriteback: 0 kB\n", "proc/sys/kernel/random/boot_id": "boot\n",
		"proc/net/unix": "", "run/kvm/pid/.keep": "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rig := &rig{runner: controltest.NewRunner(t), instance: control.Instance{
		Name: "web1", UUID: "0c3e1d52", Node: "node1", MemoryBytes: 64 << 20, VCPUs: 1,
		Disks: []control.Disk{{UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53", Template: "rbd", Image: "disk1", Where: map[string]string{"pool": "vms"}}},
	}}
	if r.prepare != nil {
		r.prepare(rig)
	}
	for _, a := range append(answers(), r.answers...) {
		a.Command = strings.ReplaceAll(a.Command, "CONF", conf)
		rig.runner.Add(a)
	}
	rig.addKernel(t, root)
	handler := guest.Handler{Runner: rig.runner, Root: root, Disks: map[string]control.DiskHost{"rbd": cephstorage.NewDiskHost(rig.runner, loopback.Options{
		Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"), CephRun: filepath.Join(root, "ceph"), CephLib: root,
	})}}
	answer := func(node string) controltest.Node {
		return func(request agent.Request) (any, error) {
			rig.calls = append(rig.calls, request.Action)
			switch {
			case slices.Contains(rig.dead, node):
				return nil, fmt.Errorf("reach %s: %w", node, control.ErrUnreachable)
			case request.Action == guest.ActionProve && rig.proven != nil:
				return rig.proven, nil
			case rig.asked != nil && request.Action != guest.ActionLook && request.Action != guest.ActionProve:
				var r guest.Request
				err := json.Unmarshal(request.Payload, &r)
				rig.asked[node+" "+request.Action] = r
				return nil, err
			case rig.look != nil && request.Action == guest.ActionLook:
				l := guest.Look{Host: rig.host, Disks: []guest.DiskLook{*rig.look}}
				if rig.runs == node {
					l.Guest = &kvm.Status{PID: 7, State: "running"}
				}
				return l, nil
			case rig.runs == node:
				return guest.Look{Guest: &kvm.Status{PID: 7, State: "running"}, Disks: make([]guest.DiskLook, 1)}, nil
			}
			return handler.Handle(t.Context(), request.Action, request.Payload, func(string) {})
		}
	}
	rig.env = &control.Env{
		Inventory: local.New(&rig.store, "node1"), Store: &rig.store, Log: slog.New(slog.DiscardHandler), Parallel: 2,
		Transport: &controltest.Transport{Nodes: map[string]controltest.Node{"node1": answer("node1"), "node2": answer("node2")}},
	}
	rig.fill(t, conf)
	return rig
}

func (rig *rig) fill(t *testing.T, conf string) {
	t.Helper()
	release, err := rig.store.Lock(t.Context(), "fill")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	inventory := local.New(&rig.store, "node1")
	err = errors.Join(
		inventory.AddNode(t.Context(), control.Node{Name: "node1"}), inventory.AddNode(t.Context(), control.Node{Name: "node2"}),
		inventory.SetOffline(t.Context(), "node1", rig.offline), inventory.AddInstance(t.Context(), rig.instance),
		inventory.SetDiskParams(t.Context(), "", "rbd", control.Values{"pool": {"vms"}, "conf": {conf}}),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// noUI consents to nothing.
type noUI struct{ control.UI }

func (noUI) Consent(context.Context, *control.Plan) error { return errors.New("asked for consent") }

func TestRefusals(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.kind, func(t *testing.T) {
			rig := newRig(t, &r)
			s := &instance.Instances{Env: rig.env, Storage: []control.StorageType{cephstorage.Type{}}, RunDir: filepath.Join(t.TempDir(), "run")}
			before, err := rig.store.Load()
			if err != nil {
				t.Fatal(err)
			}
			plan, err := rig.env.Execute(t.Context(), r.change(s), noUI{})
			if !errors.Is(err, control.ErrBlocked) {
				t.Fatalf("want it refused, got %v and %+v", err, plan)
			}
			if len(plan.Blockers) != 1 || plan.Blockers[0].Case != r.kind {
				t.Fatalf("blockers %+v, want one of %s", plan.Blockers, r.kind)
			}
			got := confPath.ReplaceAllString(plan.Blockers[0].String(), "CONF")
			if diff := cmp.Diff(r.want, got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			after, err := rig.store.Load()
			if diff := cmp.Diff(before, after); diff != "" || err != nil {
				t.Errorf("the state has changed (-before +after):\n%s%v", diff, err)
			}
			for _, action := range rig.calls {
				if action != guest.ActionLook && action != guest.ActionProve {
					t.Errorf("a node was asked for %s", action)
				}
			}
		})
	}
}

var confPath = regexp.MustCompile(`/\S*/ceph\.conf`)

const (
	reference        = "../../docs/refusals.md"
	referenceHeading = "\n## What instances are refused\n"
)

// TestReference keeps the part of docs/refusals.md about instances true: a row for each case, with the line that
// TestRefusals produces.
func TestReference(t *testing.T) {
	lines := map[string]string{}
	for _, r := range refusals {
		if lines[r.kind] == "" {
			lines[r.kind] = r.want
		}
	}
	var rows []string
	for kind, line := range lines {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | 3 |\n", kind, strings.ReplaceAll(line, "|", `\|`)))
	}
	slices.Sort(rows)
	want := referenceHeading + "Generated by the tests of the planner, with the names of their nodes. What a node finds only when it does it ends\n" +
		"with exit code 1, and nothing is left of it.\n\n| case | line | exit code |\n|---|---|---|\n" + strings.Join(rows, "")
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), referenceHeading)
	got, after, _ := strings.Cut(rest, "\n## ")
	if !found { // it comes before the other part that is generated
		before, after, _ = strings.Cut(string(text), "\n## ")
		got = ""
	}
	if *update {
		if err := os.WriteFile(reference, []byte(before+want+"\n## "+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, referenceHeading+got); diff != "" {
		t.Errorf("%s is not up to date: run this with -update (-want +got):\n%s", reference, diff)
	}
}

// blockCall finds the cases that the source can refuse with.
var blockCall = regexp.MustCompile(`Block\([^"]*(?:"",[^"]*)?"([a-z][a-z-]*)"|Case[A-Za-z]+ += "([a-z-]+)"`)

// TestEveryRefusal wants a row for every case in the source.
func TestEveryRefusal(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.go", "../guest/*.go", "../../ceph/guestdisk/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range blockCall.FindAllStringSubmatch(string(source), -1) {
			found[m[1]+m[2]] = true
		}
	}
	for kind := range found {
		if !slices.ContainsFunc(refusals, func(r refusal) bool { return r.kind == kind }) {
			t.Errorf("no row for the refusal %q", kind)
		}
	}
	for _, r := range refusals {
		if !found[r.kind] {
			t.Errorf("the source has no refusal %q", r.kind)
		}
	}
}
