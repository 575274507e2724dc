package exporter

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/librbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// librbd's counters name neither the namespace of an image nor where its pool's name ends: what could be of two
// disks is left out.
func TestLibrbdDisk(t *testing.T) {
	disk := func(driver, pool, namespace, image string) qemuDisk {
		source := kvm.Source{Driver: driver, Pool: pool, Namespace: namespace, Image: image}
		return qemuDisk{device: kvm.BlockDevice{Source: source}}
	}
	var parser librbd.Parser
	counters, err := parser.Parse([]byte(`{"librbd-10a-vms-a-b": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		disks []qemuDisk
		want  int // -1 for none
	}{
		"no disks":       {nil, -1},
		"other disks":    {[]qemuDisk{disk("rbd", "vms", "", "a"), disk("rbd", "vms", "", "b")}, -1},
		"one":            {[]qemuDisk{disk("rbd", "vms", "", "a"), disk("rbd", "vms", "x", "a-b")}, 1},
		"krbd":           {[]qemuDisk{disk("host_device", "vms", "", "a-b"), disk("rbd", "vms", "", "a-b")}, 1},
		"two namespaces": {[]qemuDisk{disk("rbd", "vms", "x", "a-b"), disk("rbd", "vms", "y", "a-b")}, -1},
		"two pools":      {[]qemuDisk{disk("rbd", "vms", "", "a-b"), disk("rbd", "vms-a", "", "b")}, -1},
	} {
		got, want := librbdDisk(&counters[0], tc.disks), (*qemuDisk)(nil)
		if tc.want >= 0 {
			want = &tc.disks[tc.want]
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// A guest's librbd that hangs is read by two collectors through one client: each says why once, however often they are
// asked and whichever of them it was that waits for the answer.
func TestLibrbdFaultIsLoggedOnce(t *testing.T) {
	for _, fault := range []asoktest.Fault{asoktest.HangBeforeAccept, asoktest.HangBeforeAnswer, asoktest.HangInAnswer} {
		t.Run(fault.String(), func(t *testing.T) {
			n := newQEMUNode(t)
			pid := os.Getpid()
			n.process(ganetiDir, "inst1.lab", pid, 2)
			n.monitor(n.socket(ganetiDir, "inst1.lab.qmp"), qemuAnswers(t, "7.2-ganeti"))
			asok := startServer(t, filepath.Join(n.root, fmt.Sprintf("ceph/ceph-client.qemu.%d.94.asok", pid)), smallAnswers("op"))
			guests := n.options()
			daemons := daemonOptions(guests.CephRun)
			daemons.Caller = guests.Caller
			var log logged
			e := New(Options{TargetTimeout: 3 * time.Second, Log: log.logger()}, NewDaemon(daemons), NewQEMU(guests))
			for range 2 { // the second one knows the socket
				n.settle(t)
				scrape(t, e)
			}
			asok.SetFault(fault)
			for range 3 {
				n.settle(t)
				scrape(t, e)
			}
			for _, collector := range []string{"daemon", "qemu"} {
				if lines := log.reasons("collector=" + collector); len(lines) != 1 {
					t.Errorf("%s has logged %d lines, want 1: %v", collector, len(lines), lines)
				}
			}
		})
	}
}
