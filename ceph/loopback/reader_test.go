package loopback

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
)

// testNode is a node made of text, its OSD, and a clock.
type testNode struct {
	root, run string
	osd       *asoktest.Server
	clock     time.Time
	reader    *Reader
}

func newTestNode(t *testing.T) *testNode {
	t.Helper()
	n := &testNode{root: loopbacktest.Root(t, "testdata/node.txtar"), run: t.TempDir(), clock: time.Unix(1e9, 0)}
	var err error
	if n.osd, err = asoktest.Listen(filepath.Join(n.run, "ceph-osd.1.asok"), map[string][]byte{"get_mapped_pools": []byte("[1,2]")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.osd.Close() })
	n.reader = NewReader(Options{
		Sysfs: n.path("sys"), Procfs: n.path("proc"), CephRun: n.run, CephLib: t.TempDir(),
		Caller: new(adminsocket.Client), Now: func() time.Time { return n.clock },
	})
	return n
}

func (n *testNode) path(name string) string { return filepath.Join(n.root, name) }

// set replaces a file.
func (n *testNode) set(t *testing.T, name, content string) {
	t.Helper()
	n.remove(t, name)
	loopbacktest.Write(t, n.root, name, content)
}

func (n *testNode) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(n.path(name)); err != nil {
		t.Fatal(err)
	}
}

// move makes a device finish requests.
func (n *testNode) move(t *testing.T, device, writes string) {
	t.Helper()
	n.set(t, "sys/devices/rbd/"+strings.TrimPrefix(device, "rbd")+"/block/"+device+"/stat", "1 0 8 1 "+writes+" 0 4 9 0 30 30\n")
}

// judged reads the node and returns the verdicts by device: the reason and the level, or "?" where it is not known.
func (n *testNode) judged(t *testing.T) map[string]string {
	t.Helper()
	f := n.reader.Read(t.Context())
	got := map[string]string{}
	for _, m := range f.Mappings {
		v := Judge(f.Node, m)
		got[m.Device] = string(v.Reason) + " " + v.Level.String()
		if !v.Known {
			got[m.Device] += "?"
		}
	}
	return got
}

func wanted() map[string]string {
	return map[string]string{
		"rbd0": "idle info", "rbd1": "direct notice", "rbd2": "page_cache warning", "rbd3": "filesystem warning",
		"rbd4": "swap critical", "rbd5": "idle info", "rbd6": "idle none", "rbd7": "idle none?", "nbd0": "idle none?",
	}
}

func TestReader(t *testing.T) {
	n := newTestNode(t)
	for range 2 { // the second time, from what is kept
		if diff := cmp.Diff(wanted(), n.judged(t)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		n.clock = n.clock.Add(15 * time.Second)
	}
	f := n.reader.Read(t.Context())
	if err := f.Err(); err != nil || len(f.Missing) != 0 {
		t.Errorf("err = %v, missing = %v", err, f.Missing)
	}
	var got []Use
	for _, m := range f.Mappings {
		got = append(got, m.Uses...)
	}
	want := []Use{
		{Reason: Direct, Device: "rbd1", Who: "qemu-system-x86 (process 901)", PID: 901},
		{Reason: PageCache, Device: "rbd2", Who: "qemu-system-x86 (process 902)", PID: 902},
		{Reason: Filesystem, Device: "dm-0", Who: "/srv/my files (xfs)", Path: "/srv/my files"},
		{Reason: Swap, Device: "rbd4p1", Who: "swap", Path: "/dev/rbd4p1"},
		{Reason: Idle, Device: "rbd5", Who: "/snap (ext4, read-only)", Path: "/snap"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

// A node without Ceph's modules and without a mapping asks nobody and looks at no process.
func TestReaderWithoutMappings(t *testing.T) {
	n := newTestNode(t)
	n.remove(t, "sys/bus/rbd")
	n.remove(t, "sys/block")
	n.remove(t, "proc/902/fdinfo")
	f := n.reader.Read(t.Context())
	if len(f.Mappings) != 0 || len(f.Missing) != 0 || !f.Node.Memory.HasInfo {
		t.Errorf("facts = %+v", f)
	}
	if asked := n.osd.Commands(); len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
	// What is about to be mapped can be judged all the same.
	n.reader.opts.AskOSDs = true
	f = n.reader.Read(t.Context())
	m := Mapping{Device: "disk/0", Driver: KRBD, PoolID: 2, Uses: []Use{{Reason: PageCache}}}
	if v := Judge(f.Node, m); v.Level != Warning || !v.Known {
		t.Errorf("what is about to be mapped: %s, known %v", v.Level, v.Known)
	}
	// An OSD whose admin socket is elsewhere is not taken for none.
	n.set(t, "proc/77/comm", "ceph-osd\n")
	n.set(t, "proc/78/comm", "ceph-osd\n")
	m.PoolID = 9
	f = n.reader.Read(t.Context())
	if v := Judge(f.Node, m); v.Known || f.Missing[SourceOSDs] == nil {
		t.Errorf("an OSD that nobody can ask: %s, known %v, missing %v", v.Level, v.Known, f.Missing)
	}
}

func TestReaderMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		damage func(*testing.T, *testNode)
		source Source
		// changed are the verdicts that differ.
		changed map[string]string
	}{
		"OSD does not answer": {
			damage:  func(_ *testing.T, n *testNode) { n.osd.SetFault(asoktest.CloseEarly) },
			source:  SourceOSDs,
			changed: map[string]string{"rbd0": "idle none?", "rbd1": "direct none?", "rbd2": "page_cache none?", "rbd3": "filesystem none?", "rbd4": "swap none?", "rbd5": "idle none?", "rbd6": "idle none?"},
		},
		"OSD is dead": {
			damage:  func(_ *testing.T, n *testNode) { n.osd.Die() },
			changed: map[string]string{"rbd0": "idle none", "rbd1": "direct none", "rbd2": "page_cache none", "rbd3": "filesystem none", "rbd4": "swap none", "rbd5": "idle none", "rbd7": "idle none", "nbd0": "idle none"},
		},
		"OSD with its socket elsewhere": {
			damage:  func(t *testing.T, n *testNode) { n.osd.Die(); n.set(t, "proc/977/comm", "ceph-osd\n") },
			source:  SourceOSDs,
			changed: map[string]string{"rbd0": "idle none?", "rbd1": "direct none?", "rbd2": "page_cache none?", "rbd3": "filesystem none?", "rbd4": "swap none?", "rbd5": "idle none?", "rbd6": "idle none?"},
		},
		"OSD with its socket here": {
			damage: func(t *testing.T, n *testNode) { n.set(t, "proc/977/comm", "ceph-osd\n") },
		},
		"no mounts": {
			damage:  func(t *testing.T, n *testNode) { n.remove(t, "proc/1/mountinfo") },
			source:  SourceMounts,
			changed: map[string]string{"rbd0": "idle info?", "rbd1": "direct notice?", "rbd2": "page_cache warning?", "rbd3": "idle info?", "rbd4": "idle info?"},
		},
		"a process cannot be looked at": {
			damage:  func(t *testing.T, n *testNode) { n.set(t, "proc/902/fdinfo/11", "odd\n") },
			source:  SourceProcesses,
			changed: map[string]string{"rbd0": "idle info?", "rbd1": "direct notice?", "rbd2": "idle info?"},
		},
		"no memory": {
			damage:  func(t *testing.T, n *testNode) { n.remove(t, "proc/meminfo") },
			source:  SourceMemory,
			changed: map[string]string{"rbd2": "page_cache warning?", "rbd3": "filesystem warning?"},
		},
		"no PSI": {
			damage: func(t *testing.T, n *testNode) { n.remove(t, "proc/pressure") },
			source: SourcePressure,
		},
		"no debugfs": {
			damage: func(t *testing.T, n *testNode) { n.remove(t, "sys/kernel/debug") },
			source: SourceRequests,
		},
		"a mapping cannot be read": {
			damage:  func(t *testing.T, n *testNode) { n.set(t, "sys/devices/rbd/1/pool_id", "many\n") },
			source:  SourceKRBD,
			changed: map[string]string{"rbd1": ""},
		},
		"pid of nbd is odd": {
			damage:  func(t *testing.T, n *testNode) { n.set(t, "sys/block/nbd0/pid", "many\n") },
			source:  SourceNBD,
			changed: map[string]string{"nbd0": ""},
		},
		"mounted in another namespace": {
			damage:  func(t *testing.T, n *testNode) { loopbacktest.Write(t, n.root, "sys/fs/ext4/rbd0/x", "1\n") },
			changed: map[string]string{"rbd0": "filesystem warning"},
		},
		"file system on a loop device": {
			damage: func(t *testing.T, n *testNode) {
				n.set(t, "sys/block/loop3/loop/backing_file", "/dev/rbd0\n")
				n.set(t, "sys/block/loop3/dev", "7:3\n")
				n.set(t, "sys/block/loop4/loop/backing_file", "/var/lib/disk.img\n")
				n.set(t, "proc/1/mountinfo", "36 22 7:3 / /srv rw - ext4 /dev/loop3 rw\n")
			},
			changed: map[string]string{"rbd0": "filesystem warning", "rbd3": "idle info"},
		},
		"loop device on a logical volume, open": {
			damage: func(t *testing.T, n *testNode) {
				n.set(t, "sys/block/loop3/loop/backing_file", "/dev/dm-0\n")
				n.set(t, "sys/block/loop3/dev", "7:3\n")
				n.set(t, "proc/1/mountinfo", "39 22 0:22 / /proc rw - proc proc rw\n")
				n.set(t, "proc/902/fd/11", "-> /dev/loop3")
			},
			changed: map[string]string{"rbd2": "idle info", "rbd3": "page_cache warning"},
		},
		"btrfs on several": {
			damage: func(t *testing.T, n *testNode) {
				for _, device := range []string{"rbd0", "dm-0"} {
					n.set(t, "sys/fs/btrfs/91fc6b3c-0a4d-4d9b-9a9b-2b8f3f1f7f2e/devices/"+device, "-> ../../../../block/"+device)
				}
				n.set(t, "proc/1/mountinfo", "36 22 0:45 / /srv rw - btrfs /dev/rbd/vms/disk3 rw\n")
			},
			changed: map[string]string{"rbd0": "filesystem warning"},
		},
		"swap file": {
			damage: func(t *testing.T, n *testNode) {
				n.set(t, "proc/swaps", "Filename Type\n/srv/my\\040files/swap file 1 0 -2\n")
			},
			changed: map[string]string{"rbd3": "swap critical", "rbd4": "idle info"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTestNode(t)
			tc.damage(t, n)
			want := wanted()
			for device, verdict := range tc.changed {
				want[device] = verdict
				if verdict == "" {
					delete(want, device)
				}
			}
			if diff := cmp.Diff(want, n.judged(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			missing := n.reader.Read(t.Context()).Missing
			for _, s := range Sources() {
				if known := missing[s] == nil; known != (s != tc.source) {
					t.Errorf("source %s: %v", s, missing[s])
				}
			}
		})
	}
}

// An OSD that hangs is what this is about: its pools stay known for a while.
func TestReaderOSDThatHangs(t *testing.T) {
	n := newTestNode(t)
	n.move(t, "rbd2", "60") // nothing is in flight
	n.judged(t)
	n.osd.SetFault(asoktest.HangBeforeAnswer)
	n.clock = n.clock.Add(poolsAge - time.Second)
	if diff := cmp.Diff(wanted(), n.judged(t)); diff != "" {
		t.Errorf("while it hangs (-want +got):\n%s", diff)
	}
	n.clock = n.clock.Add(2 * time.Second)
	if got := n.judged(t)["rbd2"]; got != "page_cache none?" {
		t.Errorf("after long: %s", got)
	}
}

// An OSD that has ended since the last look at processes is no OSD whose socket is elsewhere.
func TestReaderOSDThatEnds(t *testing.T) {
	n := newTestNode(t)
	n.set(t, "proc/977/comm", "ceph-osd\n")
	n.judged(t)
	n.osd.Die()
	if got := n.judged(t)["rbd4"]; got != "swap none?" {
		t.Errorf("its process lives: %s", got)
	}
	n.remove(t, "proc/977")
	if got := n.judged(t)["rbd4"]; got != "swap none" {
		t.Errorf("its process has ended: %s", got)
	}
}

// The OSD of another cluster has other pools, whatever their ids.
func TestReaderOSDOfAnotherCluster(t *testing.T) {
	n := newTestNode(t)
	n.reader.opts.CephLib = n.path("lib")
	loopbacktest.Write(t, n.root, "lib/osd/ceph-1/ceph_fsid", "00000000-6a3c-4c3d-9d6b-0c1c8a9f7e21\n")
	if got := n.judged(t)["rbd4"]; got != "swap none" {
		t.Errorf("swap on an image of another cluster: %s", got)
	}
}

func TestReaderLooksAgain(t *testing.T) {
	n := newTestNode(t)
	n.judged(t)
	first := n.clock
	look := func() time.Time {
		t.Helper()
		n.clock = n.clock.Add(15 * time.Second)
		return n.reader.Read(t.Context()).Mappings[0].Looked
	}
	if got := look(); !got.Equal(first) {
		t.Error("looked though no device had moved")
	}
	n.move(t, "rbd2", "51")
	if got := look(); !got.Equal(first) {
		t.Error("looked though the one who has it open still does")
	}
	n.move(t, "rbd0", "51")
	second := look()
	if !second.Equal(n.clock) {
		t.Error("did not look though a device moved that nobody had open")
	}
	n.set(t, "proc/902/fd/11", "-> /dev/null")
	n.move(t, "rbd2", "52")
	if got := look(); !got.Equal(n.clock) {
		t.Error("did not look though the one who had it open has closed it")
	}
	if got := n.judged(t)["rbd2"]; got != "idle info" {
		t.Errorf("closed: %s", got)
	}
	n.move(t, "rbd1", "51")
	n.clock = n.clock.Add(lookAge)
	if got := look(); !got.Equal(n.clock) {
		t.Error("did not look after a while at a device that moves")
	}
}

// The same number, another image: what was known of the old one is dropped.
func TestReaderRemapped(t *testing.T) {
	n := newTestNode(t)
	n.judged(t)
	n.remove(t, "sys/bus/rbd/devices/2")
	if got, there := n.judged(t)["rbd2"]; there {
		t.Errorf("unmapped: %s", got)
	}
	if err := os.Rename(n.path("sys/devices/rbd/2"), n.path("sys/devices/rbd/old")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(n.path("sys/devices/rbd/2"), os.DirFS(n.path("sys/devices/rbd/old"))); err != nil {
		t.Fatal(err)
	}
	n.set(t, "sys/devices/rbd/2/name", "another\n")
	n.set(t, "sys/bus/rbd/devices/2", "-> ../../../devices/rbd/2")
	for _, m := range n.reader.Read(t.Context()).Mappings {
		if m.Device == "rbd2" && m.Image != "another" {
			t.Errorf("image = %s", m.Image)
		}
	}
}

// A device that takes no writes now may take them later; a snapshot never does.
func TestReaderReadOnlyChanges(t *testing.T) {
	n := newTestNode(t)
	for _, step := range []struct{ ro, rbd2 string }{{"1", "idle info"}, {"0", "page_cache warning"}} {
		for _, device := range []string{"rbd/2/block/rbd2", "rbd/5/block/rbd5"} {
			n.set(t, "sys/devices/"+device+"/ro", step.ro+"\n")
		}
		got := n.judged(t)
		if got["rbd2"] != step.rbd2 || got["rbd5"] != "idle info" {
			t.Errorf("ro %s: rbd2 %s, rbd5 %s", step.ro, got["rbd2"], got["rbd5"])
		}
		for _, m := range n.reader.Read(t.Context()).Mappings {
			if m.Device == "rbd5" && !m.ReadOnly {
				t.Errorf("ro %s: a snapshot takes writes", step.ro)
			}
		}
	}
}

// A clone reads from its parent's pool, until it is flattened. What it has under way there counts.
func TestReaderParent(t *testing.T) {
	const parent = "sys/devices/rbd/6/parent"
	base := "pool_id 1\npool_name rbd\npool_ns \nimage_id 5e3a1b2c4d5f\nimage_name base\nsnap_id 4\nsnap_name v1\noverlap "
	n := newTestNode(t)
	n.set(t, parent, base+"1073741824\n")
	const osdc = "sys/kernel/debug/ceph/5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21.client4235/osdc"
	text, err := os.ReadFile(n.path(osdc))
	if err != nil {
		t.Fatal(err)
	}
	reads := strings.Replace(string(text), "rbd_data.10a6f2a2b3c2.", "rbd_data.5e3a1b2c4d5f.", 1)
	n.set(t, osdc, reads)
	for _, step := range []struct {
		change          func()
		rbd6            string
		pools, inFlight int
	}{
		{func() {}, "idle info", 1, 0},
		{func() { n.set(t, "sys/devices/rbd/6/block/rbd6/stat", "1 0 8 1 50 0 4 9 1 30 30\n") }, "idle info", 1, 1},
		{func() { n.set(t, parent, base+"0\n") }, "idle none", 0, 0},
	} {
		step.change()
		f := n.reader.Read(t.Context())
		m := f.Mappings[6]
		v := Judge(f.Node, m)
		if got := string(v.Reason) + " " + v.Level.String(); m.Device != "rbd6" || got != step.rbd6 || len(v.Pools) != step.pools || m.InFlight != step.inFlight {
			t.Errorf("%s: %s, pools %q, %d in flight, want %+v", m.Device, got, v.Pools, m.InFlight, step)
		}
	}
	n = newTestNode(t)
	n.set(t, parent, "pool_id many\n")
	if f := n.reader.Read(t.Context()); f.Missing[SourceKRBD] == nil || len(f.Mappings) != 9 {
		t.Errorf("a parent that cannot be read: %v, %d mappings", f.Missing, len(f.Mappings))
	}
}

// The command line of a rbd-nbd is read once in its life.
func TestReaderReadsCommandLineOnce(t *testing.T) {
	n := newTestNode(t)
	n.judged(t)
	n.remove(t, "proc/950/cmdline")
	if _, there := n.judged(t)["nbd0"]; !there {
		t.Error("the mapping is gone")
	}
	n.set(t, "sys/block/nbd0/pid", "951\n") // that of another program
	if got, there := n.judged(t)["nbd0"]; there {
		t.Errorf("another process serves the device: %s", got)
	}
}

func TestReaderRequests(t *testing.T) {
	n := newTestNode(t)
	at := func() (m2, m0 Mapping) {
		t.Helper()
		f := n.reader.Read(t.Context())
		return f.Mappings[2], f.Mappings[0]
	}
	if m, _ := at(); m.InFlight != 1 || m.InFlightAll || m.Oldest != 0 {
		t.Errorf("first: %d, %v, %s", m.InFlight, m.InFlightAll, m.Oldest)
	}
	n.clock = n.clock.Add(StuckAfter)
	m, other := at()
	if m.InFlight != 1 || m.Oldest != StuckAfter || other.InFlight != 0 {
		t.Errorf("later: %d, %s", m.InFlight, m.Oldest)
	}
	if got := n.judged(t)["rbd2"]; got != "page_cache critical" {
		t.Errorf("stuck: %s", got)
	}
	n.set(t, "sys/devices/rbd/2/block/rbd2/stat", "1 0 8 1 60 0 4 9 0 30 30\n")
	if m, _ := at(); m.InFlight != 0 || m.Oldest != 0 {
		t.Errorf("ended: %d, %s", m.InFlight, m.Oldest)
	}
}

// An OSD that hangs is marked down: who waited for it waits for none now, and is stuck all the same. Who never did does
// not count.
func TestReaderRequestsOfOSDThatIsDown(t *testing.T) {
	n := newTestNode(t)
	n.judged(t)
	const osdc = "sys/kernel/debug/ceph/5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21.client4235/osdc"
	text, err := os.ReadFile(n.path(osdc))
	if err != nil {
		t.Fatal(err)
	}
	down := strings.NewReplacer("osd1\t", "osd-1\t", "osd4\t", "osd-1\t").Replace(string(text))
	n.set(t, osdc, down)
	n.clock = n.clock.Add(StuckAfter)
	for range 2 {
		if m := n.reader.Read(t.Context()).Mappings[2]; m.InFlight != 1 || m.Oldest != StuckAfter {
			t.Errorf("%d in flight, %s old, want 1 and %s", m.InFlight, m.Oldest, StuckAfter)
		}
	}
	if got := n.judged(t)["rbd2"]; got != "page_cache critical" {
		t.Errorf("its OSD is down: %s", got)
	}
}

// Who begins to wait when the OSD that hangs is marked down already waits for it as well; where all OSDs answer, the one that
// is down is elsewhere.
func TestReaderRequestsForOSDThatHangs(t *testing.T) {
	for _, hangs := range []bool{true, false} {
		n := newTestNode(t)
		n.move(t, "rbd2", "60") // nothing is in flight
		n.judged(t)
		const osdc = "sys/kernel/debug/ceph/5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21.client4235/osdc"
		text, err := os.ReadFile(n.path(osdc))
		if err != nil {
			t.Fatal(err)
		}
		n.set(t, osdc, strings.Replace(string(text), "osd1\t", "osd-1\t", 1))
		n.set(t, "sys/devices/rbd/2/block/rbd2/stat", "1 0 8 1 60 0 4 9 1 30 30\n")
		if hangs {
			n.osd.SetFault(asoktest.HangBeforeAnswer)
		}
		n.judged(t)
		n.clock = n.clock.Add(StuckAfter)
		want := 0
		if hangs {
			want = 1
		}
		if m := n.reader.Read(t.Context()).Mappings[2]; m.InFlight != want || hangs && m.Oldest != StuckAfter {
			t.Errorf("an OSD hangs: %t: %d in flight, %s old", hangs, m.InFlight, m.Oldest)
		}
	}
}

// Without debugfs, a device on which nothing ends counts.
func TestReaderRequestsOfDevice(t *testing.T) {
	n := newTestNode(t)
	n.remove(t, "sys/kernel/debug")
	n.judged(t)
	n.clock = n.clock.Add(StuckAfter)
	m := n.reader.Read(t.Context()).Mappings[2]
	if m.InFlight != 3 || !m.InFlightAll || m.Oldest != StuckAfter {
		t.Errorf("%d, %v, %s", m.InFlight, m.InFlightAll, m.Oldest)
	}
}

func TestReaderGivesUp(t *testing.T) {
	n := newTestNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := n.reader.Read(ctx)
	if !errors.Is(f.Missing[SourceKRBD], context.Canceled) {
		t.Errorf("missing = %v", f.Missing)
	}
}

func TestExplainPermission(t *testing.T) {
	err := explain("look who has devices open", &fs.PathError{Op: "readlink", Path: "/proc/1/fd/0", Err: syscall.EACCES})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "docs/security.md") {
		t.Errorf("err = %v", err)
	}
}

func TestAddGuest(t *testing.T) {
	for _, tc := range []struct {
		unseen []Reason
		cache  string
		want   Reason
	}{
		{[]Reason{PageCache}, "writeback", PageCache},
		{[]Reason{PageCache}, "none", Direct},
		{[]Reason{PageCache}, "directsync", Direct},
		{nil, "writeback", Idle},
	} {
		m := theMapping()
		m.Unseen = tc.unseen
		m.AddGuest("web1", tc.cache)
		if got, worst := m.used(); got != tc.want || worst != tc.want {
			t.Errorf("cache %s, unseen %v: %s to %s, want %s", tc.cache, tc.unseen, got, worst, tc.want)
		}
	}
}
