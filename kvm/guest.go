// Package kvm speaks to the QEMU processes of this node: it finds the running guests of Ganeti and of cephctl, reads
// the files that describe them, and asks their QMP monitors without ever being in the way of Ganeti. It starts and stops
// those of cephctl.
package kvm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/smallfile"
)

// Dir is a directory with the files of guests: pid/INSTANCE, ctrl/INSTANCE.qmp and conf/INSTANCE.runtime.
type Dir string

// GanetiDir returns where Ganeti keeps its KVM guests below its run directory, usually /var/run/ganeti.
func GanetiDir(run string) Dir { return Dir(filepath.Join(run, "kvm-hypervisor")) }

// CephctlDir returns where cephctl keeps its guests below its run directory, usually /run/cephctl.
func CephctlDir(run string) Dir { return Dir(filepath.Join(run, "kvm")) }

// PIDFile returns the path of an instance's pid file.
func (d Dir) PIDFile(instance string) string { return filepath.Join(string(d), "pid", instance) }

// RuntimeFile returns the path of an instance's runtime file.
func (d Dir) RuntimeFile(instance string) string {
	return filepath.Join(string(d), "conf", instance+".runtime")
}

// Monitors returns the paths of an instance's QMP monitors, the one to prefer first. Ganeti opens .qmp for each of
// its operations, while nobody uses .kvmd unless user shutdown is enabled.
func (d Dir) Monitors(instance string) []string {
	return []string{d.ctrl(instance, suffixKVMD), d.ctrl(instance, suffixQMP)}
}

// The sockets of a guest: its QMP monitors, that for people, and the serial console.
const (
	suffixKVMD    = "kvmd"
	suffixQMP     = "qmp"
	suffixMonitor = "monitor"
	suffixSerial  = "serial"
)

// ctrl returns the path of one of an instance's sockets.
func (d Dir) ctrl(instance, suffix string) string {
	return filepath.Join(string(d), "ctrl", instance+"."+suffix)
}

// Guest returns the guest that runs an instance, or false when none does.
func (d Dir) Guest(procfs, instance string) (Guest, bool, error) {
	g, err := NewFinder(procfs, d).guest(d.PIDFile(instance), Guest{Instance: instance, Dir: d})
	switch {
	case isGone(err):
		return Guest{}, false, nil
	case err != nil:
		return Guest{}, false, fmt.Errorf("find process of %s: %w", instance, err)
	}
	return g, true, nil
}

// Guest is a running QEMU process and the instance that it runs.
type Guest struct {
	Instance string
	Dir      Dir
	Process  Process
}

// Finder finds running guests. It remembers which process is whose, as that cannot change while the process lives.
type Finder struct {
	procfs string
	dirs   []Dir
	// known are the guests of the last time, by pid file.
	known map[string]Guest
}

// NewFinder makes a finder for guests in the given directories. An instance that runs from two of them is taken
// from the first.
func NewFinder(procfs string, dirs ...Dir) *Finder {
	return &Finder{procfs: procfs, dirs: dirs}
}

// Find lists the running guests: those whose pid file names a process that lives and has the instance's name. The
// error is fs.ErrNotExist when none of the directories exists. What could be found is returned beside an error.
func (f *Finder) Find() ([]Guest, error) {
	var guests []Guest
	var errs []error
	missing := 0
	known := make(map[string]Guest, len(f.known))
	seen := make(map[string]bool, len(f.known))
	for _, dir := range f.dirs {
		entries, err := os.ReadDir(filepath.Join(string(dir), "pid"))
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("list guests: %w", err))
			continue
		}
		for _, entry := range entries {
			pidFile := dir.PIDFile(entry.Name())
			g, err := f.guest(pidFile, Guest{Instance: entry.Name(), Dir: dir})
			switch {
			case isGone(err):
			case err != nil:
				errs = append(errs, fmt.Errorf("find process of %s: %w", entry.Name(), err))
			case !seen[g.Instance]:
				guests = append(guests, g)
				seen[g.Instance] = true
				known[pidFile] = g
			}
		}
	}
	f.known = known
	if missing == len(f.dirs) {
		return nil, fmt.Errorf("list guests: %w", fs.ErrNotExist)
	}
	return guests, errors.Join(errs...)
}

// errNotRunning is what guest returns when the pid file names no process of that guest.
var errNotRunning = errors.New("not running")

// guest fills in the process of g. While the one of the last time lives, its pid file has not changed.
func (f *Finder) guest(pidFile string, g Guest) (Guest, error) {
	if last, ok := f.known[pidFile]; ok {
		if now, err := ReadProcess(f.procfs, last.Process.PID); err == nil && now == last.Process {
			return last, nil
		}
	}
	pid, err := readPID(pidFile)
	if err != nil {
		return g, err
	}
	if g.Process, err = ReadProcess(f.procfs, pid); err != nil {
		return g, err
	}
	name, err := guestName(f.procfs, pid)
	if err == nil && name != g.Instance {
		err = errNotRunning
	}
	return g, err
}

func readPID(pidFile string) (int, error) {
	var buf [32]byte
	text, err := smallfile.Read(pidFile, buf[:])
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		// QEMU fills the file a moment after it made it.
		return 0, errNotRunning
	}
	return pid, nil
}

// isGone tells whether there is no such process, perhaps since a moment ago.
func isGone(err error) bool {
	return errors.Is(err, errNotRunning) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}
