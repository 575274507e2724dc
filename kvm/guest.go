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

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/each"
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
	g := Guest{Instance: instance, Dir: d}
	process, err := NewFinder(procfs, d).process(g)
	switch {
	case isGone(err):
		return Guest{}, false, nil
	case err != nil:
		return Guest{}, false, fmt.Errorf("find process of %s: %w", instance, err)
	}
	g.Process = process
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
	// known are the processes of the last time, each by its guest as it was before its process was known.
	known map[Guest]Process
}

// NewFinder makes a finder for guests in the given directories. An instance that runs from two of them is taken
// from the first.
func NewFinder(procfs string, dirs ...Dir) *Finder {
	return &Finder{procfs: procfs, dirs: dirs}
}

// Find lists the running guests: those whose pid file names a process that lives and has the instance's name. The
// error is fs.ErrNotExist when none of the directories exists. What could be found is returned beside an error.
func (f *Finder) Find() ([]Guest, error) {
	candidates, err := f.candidates()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	errs := []error{err}
	failed := f.fill(candidates)
	guests := make([]Guest, 0, len(candidates))
	known := make(map[Guest]Process, len(candidates))
	seen := make(map[string]bool, len(candidates))
	for i, g := range candidates {
		switch err := failed[i]; {
		case isGone(err):
		case err != nil:
			errs = append(errs, fmt.Errorf("find process of %s: %w", g.Instance, err))
		case !seen[g.Instance]:
			guests = append(guests, g)
			seen[g.Instance] = true
			known[Guest{Instance: g.Instance, Dir: g.Dir}] = g.Process
		}
	}
	f.known = known
	return guests, errors.Join(errs...)
}

// candidates lists the pid files.
func (f *Finder) candidates() ([]Guest, error) {
	var candidates []Guest
	var errs []error
	missing := 0
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
			candidates = append(candidates, Guest{Instance: entry.Name(), Dir: dir})
		}
	}
	if missing == len(f.dirs) {
		return nil, fmt.Errorf("list guests: %w", fs.ErrNotExist)
	}
	return candidates, errors.Join(errs...)
}

// finders is how many processes are looked at once.
const finders = 4

// fill fills in the processes of guests, and returns why there is none, if so.
func (f *Finder) fill(guests []Guest) []error {
	errs := make([]error, len(guests))
	each.Do(len(guests), finders, func(i int) { guests[i].Process, errs[i] = f.process(guests[i]) })
	return errs
}

// errNotRunning is what process returns when the pid file names no process of that guest.
var errNotRunning = errors.New("not running")

// process returns the process of a guest. While the one of the last time lives, its pid file has not changed.
func (f *Finder) process(g Guest) (Process, error) {
	if last, ok := f.known[g]; ok {
		if now, err := ReadProcess(f.procfs, last.PID); err == nil && now == last {
			return last, nil
		}
	}
	pid, err := readPID(g.Dir.PIDFile(g.Instance))
	if err != nil {
		return Process{}, err
	}
	process, err := ReadProcess(f.procfs, pid)
	if err != nil {
		return Process{}, err
	}
	name, err := guestName(f.procfs, pid)
	if err == nil && name != g.Instance {
		err = errNotRunning
	}
	return process, err
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
