package exporter

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm/qmptest"
)

// qemuNode is a node with fake guests. Its procfs shows the real sockets.
type qemuNode struct {
	tb       testing.TB
	root     string
	monitors []*qmptest.Server
}

func newQEMUNode(tb testing.TB) *qemuNode {
	tb.Helper()
	root, err := os.MkdirTemp("", "q") // short, for the names of sockets
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(root) })
	n := &qemuNode{tb: tb, root: root}
	for _, dir := range []string{"ceph", "proc", "ganeti/kvm-hypervisor/ctrl", "cephctl/kvm/ctrl"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink("/proc/net", filepath.Join(root, "proc/net")); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (n *qemuNode) options() QEMUOptions {
	return QEMUOptions{
		Procfs: filepath.Join(n.root, "proc"), GanetiRun: filepath.Join(n.root, "ganeti"),
		CephctlRun: filepath.Join(n.root, "cephctl"), CephRun: filepath.Join(n.root, "ceph"),
		Caller: &adminsocket.Client{},
	}
}

func (n *qemuNode) write(path, text string) {
	n.tb.Helper()
	path = filepath.Join(n.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.tb.Fatal(err)
	}
}

// process puts a process with the guest's name into procfs.
func (n *qemuNode) process(dir, instance string, pid, start int) {
	n.tb.Helper()
	n.write(filepath.Join(dir, "pid", instance), strconv.Itoa(pid)+"\n")
	n.write(fmt.Sprintf("proc/%d/stat", pid),
		fmt.Sprintf("%d (qemu-system-x86) S%s %d 0\n", pid, strings.Repeat(" 0", 18), start))
	n.write(fmt.Sprintf("proc/%d/cmdline", pid), "qemu\x00-name\x00"+instance+"\x00")
}

// monitor starts a monitor that settle waits for.
func (n *qemuNode) monitor(path string, answers map[string]string) *qmptest.Server {
	n.tb.Helper()
	s := qmptest.Start(n.tb, path, answers)
	n.monitors = append(n.monitors, s)
	return s
}

// settle waits until the monitors have noticed that the last scrape is over, as they have in life when the next one
// comes. Those that hang never do.
func (n *qemuNode) settle(t *testing.T, hung ...*qmptest.Server) {
	t.Helper()
	eventually(t, "monitors are free", func() bool {
		return !slices.ContainsFunc(n.monitors, func(s *qmptest.Server) bool {
			return s.Connections() > 0 && !slices.Contains(hung, s)
		})
	})
}

func (n *qemuNode) socket(dir, name string) string { return filepath.Join(n.root, dir, "ctrl", name) }

const ganetiDir, cephctlDir = "ganeti/kvm-hypervisor", "cephctl/kvm"

func readText(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// qemuAnswers are those of a release in kvm's test data.
func qemuAnswers(tb testing.TB, release string) map[string]string {
	tb.Helper()
	answers := make(map[string]string)
	for _, command := range []string{"query-status", "query-blockstats", "query-block"} {
		answers[command] = readText(tb, filepath.Join("../kvm/testdata/qemu", release, command+".json"))
	}
	return answers
}

func TestQEMU(t *testing.T) {
	n := newQEMUNode(t)

	// Ganeti 3.0: -drive. The second disk was plugged in, and the file is of before.
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	n.write(ganetiDir+"/conf/inst1.lab.runtime", readText(t, "../kvm/testdata/ganeti/3.0/inst1.lab.runtime"))
	n.monitor(n.socket(ganetiDir, "inst1.lab.kvmd"), qemuAnswers(t, "7.2-ganeti-hotplugged"))

	// Ganeti 3.1: -blockdev, one disk below a throttle filter; the file has one that was unplugged.
	pid := os.Getpid()
	n.process(ganetiDir, "blockdev.lab", pid, 2)
	n.write(ganetiDir+"/conf/blockdev.lab.runtime", readText(t, "testdata/qemu/blockdev.lab.runtime"))
	n.monitor(n.socket(ganetiDir, "blockdev.lab.qmp"), qemuAnswers(t, "10.0-blockdev"))
	asok := startLibrbd(t, filepath.Join(n.root, fmt.Sprintf("ceph/ceph-client.qemu.%d.94.asok", pid)))

	// cephctl: disks that the kernel has mapped.
	n.process(cephctlDir, "kernel.lab", 4434, 3)
	n.write(cephctlDir+"/conf/kernel.lab.runtime", readText(t, "testdata/qemu/kernel.lab.runtime"))
	n.monitor(n.socket(cephctlDir, "kernel.lab.qmp"), map[string]string{
		"query-status":     `{"return": {"status": "io-error", "singlestep": false, "running": false}}`,
		"query-blockstats": readText(t, "testdata/qemu/kernelspace-query-blockstats.json"),
		"query-block":      readText(t, "testdata/qemu/kernelspace-query-block.json"),
	})

	n.process(ganetiDir, "busy.lab", 4435, 4)
	qmptest.Start(t, n.socket(ganetiDir, "busy.lab.qmp"), qemuAnswers(t, "7.2-drive"))
	holdMonitor(t, n.socket(ganetiDir, "busy.lab.qmp"))

	n.process(ganetiDir, "broken.lab", 4436, 5)
	n.monitor(n.socket(ganetiDir, "broken.lab.qmp"), qemuAnswers(t, "7.2-drive")).Misbehave(qmptest.WrongJSON)

	q := NewQEMU(n.options())
	scrape(t, New(Options{}, q)) // admin sockets are left alone the first time
	if asked := asok.Commands(); len(asked) != 0 {
		t.Errorf("first scrape asked librbd for %q", asked)
	}
	n.settle(t)
	got := ownFamilies(t, q)
	if diff := cmp.Diff([]string{"perf dump"}, asok.Commands()); diff != "" {
		t.Errorf("commands of the second scrape (-want +got):\n%s", diff)
	}
	checkGolden(t, "testdata/qemu.prom", got)
}

func startLibrbd(tb testing.TB, path string) *asoktest.Server {
	tb.Helper()
	return startServer(tb, path, map[string][]byte{
		"perf dump": []byte(readText(tb, "../ceph/librbd/testdata/ceph/18.2/perf_dump.json")),
	})
}

func holdMonitor(tb testing.TB, path string) net.Conn {
	tb.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

func TestQEMUWithoutGuests(t *testing.T) {
	n := newQEMUNode(t)
	var log logged
	e := New(Options{Log: log.logger()}, NewQEMU(n.options()))
	for key := range scrape(t, e) {
		if strings.HasPrefix(key, "qemu_") {
			t.Errorf("got %s", key)
		}
	}
	if lines := log.lines(); len(lines) != 0 {
		t.Errorf("logged %q", lines)
	}
}

// TestQEMUAsksDevicesOnce checks the commands of several scrapes: what the disks are is asked when they change.
func TestQEMUAsksDevicesOnce(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	server := n.monitor(n.socket(ganetiDir, "inst1.lab.qmp"), qemuAnswers(t, "7.2-ganeti"))
	e := New(Options{}, NewQEMU(n.options()))
	var want []string
	for _, step := range []struct {
		release, asked string
		disks          int
	}{
		{"7.2-ganeti", "query-status query-blockstats query-block", 1},
		{"7.2-ganeti", "query-status query-blockstats", 1},
		{"7.2-ganeti-hotplugged", "query-status query-blockstats query-block", 2},
		{"7.2-ganeti-hotplugged", "query-status query-blockstats", 2},
		{"7.2-ganeti", "query-status query-blockstats query-block", 1},
	} {
		server.SetAnswers(qemuAnswers(t, step.release))
		n.settle(t)
		if got := scrape(t, e).with("qemu_disk_info"); len(got) != step.disks {
			t.Errorf("%s: got %v, want %d disks", step.release, got, step.disks)
		}
		want = append(want, strings.Fields(step.asked)...)
	}
	if diff := cmp.Diff(want, server.Asked()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// TestQEMURestart checks that nothing of the process before stays, also when its pid is used again.
func TestQEMURestart(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	path := n.socket(ganetiDir, "inst1.lab.qmp")
	server := n.monitor(path, qemuAnswers(t, "7.2-ganeti-hotplugged"))
	e := New(Options{}, NewQEMU(n.options()))
	if got := scrape(t, e).with("qemu_disk_size_bytes"); len(got) != 2 {
		t.Errorf("got %v, want two disks", got)
	}

	server.Stop()
	n.process(ganetiDir, "other.lab", 4432, 9)
	if got := scrape(t, e).about("inst1.lab"); len(got) != 0 {
		t.Errorf("the guest is gone, and another has its pid: got %v", got)
	}

	if err := os.Remove(filepath.Join(n.root, ganetiDir, "pid/other.lab")); err != nil {
		t.Fatal(err)
	}
	n.process(ganetiDir, "inst1.lab", 4432, 17)
	again := n.monitor(path, qemuAnswers(t, "7.2-ganeti"))
	want := series{`qemu_disk_size_bytes{disk="disk-f42e5100-476a-4674",ganeti_instance="inst1.lab"}`: 134217728}
	if diff := cmp.Diff(want, scrape(t, e).with("qemu_disk_size_bytes")); diff != "" {
		t.Errorf("without a runtime file (-want +got):\n%s", diff)
	}
	n.write(ganetiDir+"/conf/inst1.lab.runtime", readText(t, "../kvm/testdata/ganeti/3.0/inst1.lab.runtime"))
	want = series{`qemu_disk_size_bytes{disk="0",ganeti_instance="inst1.lab"}`: 134217728}
	n.settle(t)
	if diff := cmp.Diff(want, scrape(t, e).with("qemu_disk_size_bytes")); diff != "" {
		t.Errorf("with a runtime file (-want +got):\n%s", diff)
	}
	asked := strings.Fields("query-status query-blockstats query-block query-status query-blockstats")
	if diff := cmp.Diff(asked, again.Asked()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// TestQEMUFaults checks that a guest that misbehaves costs its own series only, and leaves nothing behind.
func TestQEMUFaults(t *testing.T) {
	for name, fault := range map[string]qmptest.Fault{
		"hang before greeting":  qmptest.HangBeforeGreeting,
		"hang before answer":    qmptest.HangBeforeAnswer,
		"hang in answer":        qmptest.HangInAnswer,
		"close before greeting": qmptest.CloseBeforeGreeting,
		"close in answer":       qmptest.CloseInAnswer,
		"wrong greeting":        qmptest.WrongGreeting,
		"wrong JSON":            qmptest.WrongJSON,
	} {
		t.Run(name, func(t *testing.T) {
			n := newQEMUNode(t)
			n.process(ganetiDir, "well.lab", 4432, 1)
			n.monitor(n.socket(ganetiDir, "well.lab.qmp"), qemuAnswers(t, "7.2-ganeti"))
			n.process(ganetiDir, "ill.lab", 4433, 2)
			ill := n.monitor(n.socket(ganetiDir, "ill.lab.qmp"), qemuAnswers(t, "7.2-ganeti"))
			ill.Misbehave(fault)
			var hung []*qmptest.Server
			if strings.HasPrefix(name, "hang") {
				hung = append(hung, ill)
			}

			var log logged
			e := New(Options{TargetTimeout: 4 * time.Second, Log: log.logger()}, NewQEMU(n.options()))
			scrape(t, e)
			check := leaks(t)
			for range 5 {
				n.settle(t, hung...)
				got := scrape(t, e)
				want := series{
					`qemu_up{ganeti_instance="ill.lab"}`: 0, `qemu_monitor_busy{ganeti_instance="ill.lab"}`: 0,
				}
				about := got.about("ill.lab").with("qemu_up", "qemu_monitor_busy", "qemu_status", "qemu_disk_read_bytes_total")
				if diff := cmp.Diff(want, about); diff != "" {
					t.Fatalf("series of the guest that is ill (-want +got):\n%s", diff)
				}
				if got[`qemu_disk_read_bytes_total{disk="disk-f42e5100-476a-4674",ganeti_instance="well.lab"}`] != 512 {
					t.Fatal("the other guest has no series")
				}
			}
			check()
			if lines := log.reasons(); len(lines) > 2 {
				t.Errorf("logged more than each reason once: %q", lines)
			}

			ill.Misbehave(qmptest.None)
			ill.Drop()
			waitFor(t, e, `qemu_up{ganeti_instance="ill.lab"}`, 1)
		})
	}
}

// TestQEMUReload checks that a guest that hangs is not taken for one that somebody else uses, when another collector takes the place
// of the one that has asked it.
func TestQEMUReload(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "ill.lab", 4433, 2)
	n.monitor(n.socket(ganetiDir, "ill.lab.qmp"), qemuAnswers(t, "7.2-ganeti")).Misbehave(qmptest.HangBeforeAnswer)
	options := n.options()
	options.Monitors = kvm.NewSockets(options.Procfs)
	want := series{`qemu_up{ganeti_instance="ill.lab"}`: 0, `qemu_monitor_busy{ganeti_instance="ill.lab"}`: 0}
	for _, when := range []string{"before", "after"} {
		got := scrape(t, New(Options{TargetTimeout: 4 * time.Second}, NewQEMU(options))).with("qemu_up", "qemu_monitor_busy")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
}

func waitFor(t *testing.T, e *Exporter, key string, want float64) {
	t.Helper()
	eventually(t, fmt.Sprint(key, " ", want), func() bool {
		got, ok := scrape(t, e)[key]
		return ok && got == want
	})
}

// TestQEMUServesCountersWithoutDevices checks that counters come also when QEMU cannot say what the disks are.
func TestQEMUServesCountersWithoutDevices(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	answers := qemuAnswers(t, "7.2-ganeti")
	delete(answers, "query-block")
	n.monitor(n.socket(ganetiDir, "inst1.lab.qmp"), answers)
	got := scrape(t, New(Options{}, NewQEMU(n.options())))
	want := series{
		`qemu_up{ganeti_instance="inst1.lab"}`:                                                   0,
		`qemu_disk_read_bytes_total{disk="disk-f42e5100-476a-4674",ganeti_instance="inst1.lab"}`: 512,
	}
	got = got.with("qemu_up", "qemu_disk_read_bytes_total", "qemu_disk_info", "qemu_disk_size_bytes")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestQEMUBrokenRuntimeFile(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	n.write(ganetiDir+"/conf/inst1.lab.runtime", "[")
	n.monitor(n.socket(ganetiDir, "inst1.lab.qmp"), qemuAnswers(t, "7.2-ganeti"))
	got := scrape(t, New(Options{}, NewQEMU(n.options()))).with("qemu_disk_read_bytes_total")
	want := series{`qemu_disk_read_bytes_total{disk="disk-f42e5100-476a-4674",ganeti_instance="inst1.lab"}`: 512}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// TestQEMULibrbdFaults checks that an admin socket that misbehaves costs the librbd series only.
func TestQEMULibrbdFaults(t *testing.T) {
	n := newQEMUNode(t)
	pid := os.Getpid()
	n.process(ganetiDir, "blockdev.lab", pid, 2)
	n.monitor(n.socket(ganetiDir, "blockdev.lab.qmp"), qemuAnswers(t, "10.0-blockdev"))
	asok := startLibrbd(t, filepath.Join(n.root, fmt.Sprintf("ceph/ceph-client.qemu.%d.94.asok", pid)))
	e := New(Options{TargetTimeout: 4 * time.Second}, NewQEMU(n.options()))
	scrape(t, e)
	for _, fault := range asoktest.Faults() {
		asok.SetFault(fault)
		n.settle(t)
		if got := scrape(t, e)[`qemu_up{ganeti_instance="blockdev.lab"}`]; got != 1 {
			t.Errorf("%s: the guest is down", fault)
		}
	}
	asok.SetFault(asoktest.None)
	waitFor(t, e, `qemu_disk_librbd_read_bytes_total{disk="disk-6dbf6a0b-a1b0-pci-6",ganeti_instance="blockdev.lab"}`, 49672)
	asok.Die()
	if got := scrape(t, e).with("qemu_disk_librbd_read_bytes_total"); len(got) != 0 {
		t.Errorf("the socket is dead, got %v", got)
	}
}

// TestQEMUDisksAreTold checks that two disks of one name, or of none, never become one series.
func TestQEMUDisksAreTold(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	n.write(ganetiDir+"/conf/inst1.lab.runtime", `[[], [], {}, [[{"iv_name": "disk/0", "uuid": "u", "hvinfo": {"id": "disk-a"}}]]]`)
	n.monitor(n.socket(ganetiDir, "inst1.lab.qmp"), map[string]string{
		"query-status": `{"return": {"status": "running"}}`,
		"query-block":  `{"return": []}`,
		"query-blockstats": strings.ReplaceAll(`{"return": [
			{"device": "disk-a", "node-name": "#block1", "stats": {"rd_bytes": 1}},
			{"device": "mirror", "node-name": "disk-a", "stats": {"rd_bytes": 2}},
			{"device": "", "node-name": "disk-a", "stats": {"rd_bytes": 3}},
			{"device": "disk-a", "node-name": "#block2", "stats": {"rd_bytes": 4}},
			{"device": "", "node-name": "#block3", "stats": {"rd_bytes": 5}},
			{"device": "ide1-cd0", "stats": {"rd_bytes": 6}}]}`, "\n", ""),
	})
	want := series{
		`qemu_disk_read_bytes_total{disk="0",ganeti_instance="inst1.lab"}`:      1,
		`qemu_disk_read_bytes_total{disk="mirror",ganeti_instance="inst1.lab"}`: 2,
		`qemu_disk_read_bytes_total{disk="disk-a",ganeti_instance="inst1.lab"}`: 3,
	}
	got := scrape(t, New(Options{}, NewQEMU(n.options()))).with("qemu_disk_read_bytes_total")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// The room for a guest's samples is made once.
func TestQEMURoom(t *testing.T) {
	disk := qemuDisk{labels: []string{"inst1", "0"}, info: make([]string, len(qemuDiskInfo.Labels))}
	g := &qemuGuest{Guest: kvm.Guest{Instance: "inst1"}, disks: []qemuDisk{disk, disk, disk}}
	var b Batch
	b.Grow(samplesOf(len(g.disks)))
	room := cap(b.samples)
	b.AddBool(qemuMonitorBusy, false, "inst1")
	g.emit(&qemuReport{stats: make([]kvm.BlockStats, len(g.disks))}, &b)
	if b.Len() != room || cap(b.samples) != room {
		t.Errorf("room for %d samples was made, and then for %d; there are %d", room, cap(b.samples), b.Len())
	}
}

// A mistake in the look at who uses the monitors, which is done beside, is an error of the guests, and not the end of the exporter.
func TestQEMULookPanics(t *testing.T) {
	n := newQEMUNode(t)
	n.process(ganetiDir, "inst1.lab", 4432, 1)
	n.write("net/unix", "0: 00000002 00000000 00010000 0001 01 1 "+n.socket(ganetiDir, "inst1.lab.qmp")+"\n")
	t.Chdir(n.root)
	opts := n.options()
	opts.Monitors = new(kvm.Sockets) // nobody made its maps, and it reads net/unix
	e := New(Options{}, NewQEMU(opts))
	for range 2 {
		if got := scrape(t, e); got[`qemu_up{ganeti_instance="inst1.lab"}`] != 0 || len(got.about("inst1.lab")) == 0 {
			t.Errorf("got %v", got.about("inst1.lab"))
		}
	}
}
