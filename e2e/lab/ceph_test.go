package lab

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"testing"
)

func TestCeph(t *testing.T) {
	RequireCeph(t)
	RequireGuest(t)
	ceph := startCeph(t)
	if err := ceph.CreatePool(t.Context(), "vms"); err != nil {
		t.Fatal(err)
	}
	if err := ceph.CreateImage(t.Context(), "vms", "disk0", 64); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mon.a", "mgr.x", "osd.0", "osd.1", "osd.2"} {
		if _, err := os.Stat(ceph.AdminSocket(name)); err != nil {
			t.Errorf("admin socket of %s: %v", name, err)
		}
	}
	testGuests(t, ceph)
	restartDaemons(t, ceph)
	stopCeph(t, ceph)
}

func startCeph(t *testing.T) *Ceph {
	t.Helper()
	ceph, err := StartCeph(t.Context(), CephOptions{Progress: func(step string) { t.Log(step) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ceph.Stop() })
	return ceph
}

// restartDaemons stops an OSD, kills the mon, and starts both again.
func restartDaemons(t *testing.T, ceph *Ceph) {
	t.Helper()
	if err := ceph.StopDaemon("osd.1"); err != nil {
		t.Fatal(err)
	}
	if err := ceph.KillDaemon("mon.a"); err != nil {
		t.Fatal(err)
	}
	if pid := ceph.Pid("mon.a"); pid != 0 {
		t.Errorf("pid of the killed mon: %d", pid)
	}
	for _, name := range []string{"mon.a", "osd.1"} {
		if err := ceph.StartDaemon(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := ceph.WaitHealthy(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stopCeph stops a cluster that has a stopped OSD, and looks for what is left of it.
func stopCeph(t *testing.T, ceph *Ceph) {
	t.Helper()
	if err := ceph.Signal("osd.0", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := ceph.Stop(); err != nil {
		t.Fatal(err)
	}
	if pids := members(t, strconv.Itoa(ceph.group.reaper.Process.Pid)); len(pids) > 0 {
		t.Errorf("processes left: %v", pids)
	}
	if _, err := os.Lstat(ceph.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
}
