// Package kvm speaks to the QEMU processes of this node: it finds the running guests of Ganeti and of cephctl, reads
// the files that describe them, and asks their QMP monitors without ever being in the way of Ganeti.
package kvm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	ctrl := filepath.Join(string(d), "ctrl", instance)
	return []string{ctrl + ".kvmd", ctrl + ".qmp"}
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
	known  map[Process]string
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
	known := make(map[Process]string, len(f.known))
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
			g, ok, err := f.guest(dir, entry.Name())
			if err != nil {
				errs = append(errs, fmt.Errorf("find process of %s: %w", entry.Name(), err))
			}
			if ok && !seen[g.Instance] {
				guests = append(guests, g)
				seen[g.Instance] = true
				known[g.Process] = g.Instance
			}
		}
	}
	f.known = known
	if missing == len(f.dirs) {
		return nil, fmt.Errorf("list guests: %w", fs.ErrNotExist)
	}
	return guests, errors.Join(errs...)
}

func (f *Finder) guest(dir Dir, instance string) (g Guest, ok bool, err error) {
	process, err := f.process(dir.PIDFile(instance))
	if errors.Is(err, fs.ErrNotExist) || isGone(err) {
		return Guest{}, false, nil
	}
	if err != nil {
		return Guest{}, false, err
	}
	name, ok := f.known[process]
	if !ok {
		if name, err = guestName(f.procfs, process.PID); err != nil {
			if errors.Is(err, fs.ErrNotExist) || isGone(err) {
				err = nil
			}
			return Guest{}, false, err
		}
	}
	return Guest{Instance: instance, Dir: dir, Process: process}, name == instance, nil
}

func (f *Finder) process(pidFile string) (Process, error) {
	var buf [32]byte
	text, err := readSmall(pidFile, buf[:])
	if err != nil {
		return Process{}, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		// QEMU locks and fills the file after it made it: an empty one is a guest that is about to start.
		return Process{}, fs.ErrNotExist
	}
	return readProcess(f.procfs, pid)
}
