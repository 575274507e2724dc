package kvm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/smallfile"
)

// Process names a process for good: a pid alone comes again.
type Process struct {
	PID int
	// Start is when the process was started, in clock ticks since boot.
	Start uint64
}

// String returns PID.START, which no other process of this boot has.
func (p Process) String() string { return fmt.Sprintf("%d.%d", p.PID, p.Start) }

// ReadProcess names the process that has a pid now, as the procfs that is mounted on a folder tells.
func ReadProcess(procfs string, pid int) (Process, error) {
	var buf [1024]byte // its parts have a largest length, which add up to less
	data, err := smallfile.Read(procfs+"/"+strconv.Itoa(pid)+"/stat", buf[:])
	if err != nil {
		return Process{}, err
	}
	start, err := parseStart(data)
	if err != nil {
		return Process{}, fmt.Errorf("parse stat of process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: start}, nil
}

// parseStart reads the 22nd field of /proc/PID/stat. The second, the command's name, may hold anything, also
// blanks and parentheses.
func parseStart(stat []byte) (uint64, error) {
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	const afterName = 22 - 2
	var field []byte
	for range afterName {
		field, rest, _ = bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	}
	return strconv.ParseUint(string(field), 10, 64)
}

// guestName returns the name that the QEMU process was started with, "" when it has none.
func guestName(procfs string, pid int) (string, error) {
	cmdline, err := readCommandLine(procfs, pid)
	if err != nil {
		return "", err
	}
	return parseGuestName(cmdline), nil
}

// readCommandLine returns the words that a process was started with, each ended by a NUL.
func readCommandLine(procfs string, pid int) (string, error) {
	cmdline, err := os.ReadFile(filepath.Join(procfs, strconv.Itoa(pid), "cmdline"))
	return string(cmdline), err
}

// arguments returns the words that a process was started with.
func arguments(procfs string, pid int) ([]string, error) {
	cmdline, err := readCommandLine(procfs, pid)
	return strings.Split(strings.TrimSuffix(cmdline, "\x00"), "\x00"), err
}

// parsePID reads the name of a process's folder in procfs.
func parsePID(name string) (int, bool) {
	pid, err := strconv.Atoi(name)
	return pid, err == nil && pid > 0
}

// parseGuestName reads the option -name, in any of its forms: "inst", "inst,debug-threads=on", "guest=inst,...".
func parseGuestName(cmdline string) string {
	args := strings.Split(cmdline, "\x00")
	for i, arg := range args[:len(args)-1] {
		if arg != "-name" && arg != "--name" {
			continue
		}
		first := ""
		for j, option := range strings.Split(args[i+1], ",") {
			key, value, hasValue := strings.Cut(option, "=")
			switch {
			case key == "guest" && hasValue:
				return value
			case j == 0 && !hasValue:
				first = key
			}
		}
		return first
	}
	return ""
}
