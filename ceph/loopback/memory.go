package loopback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// memory reads how short memory is.
func (r *Reader) memory(f *Facts) Memory {
	var m Memory
	info, err := os.ReadFile(filepath.Join(r.opts.Procfs, "meminfo"))
	if err == nil {
		err = parseMeminfo(string(info), &m)
	}
	if err != nil {
		f.miss(SourceMemory, fmt.Errorf("read memory: %w", err))
	}
	text, err := r.small(r.opts.Procfs, "pressure", "memory")
	if err == nil {
		m.Full, err = parsePressure(text)
		m.HasPSI = err == nil
	}
	if err != nil {
		f.miss(SourcePressure, fmt.Errorf("read memory pressure: %w", err))
	}
	return m
}

// parseMeminfo takes /proc/meminfo. What it needs has been there since Linux 3.14.
func parseMeminfo(text string, m *Memory) error {
	wanted := map[string]*uint64{
		"MemTotal": &m.Total, "MemAvailable": &m.Available, "Dirty": &m.Dirty, "Writeback": &m.Writeback,
	}
	found := 0
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		value := wanted[name]
		if !ok || value == nil {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kib, err := strconv.ParseUint(number, 10, 53)
		if err != nil || unit != "kB" {
			return fmt.Errorf("parse %s: not a number of kB", name)
		}
		*value = kib << 10
		found++
	}
	if found != len(wanted) || m.Total == 0 {
		return errors.New("parse meminfo: not all of MemTotal, MemAvailable, Dirty and Writeback")
	}
	m.HasInfo = true
	return nil
}

// parsePressure takes /proc/pressure/memory and returns avg60 of its line "full", 0 to 1.
func parsePressure(text string) (float64, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "full" {
			continue
		}
		for _, field := range fields[1:] {
			if number, ok := strings.CutPrefix(field, "avg60="); ok {
				percent, err := strconv.ParseFloat(number, 64)
				if err != nil || !(percent >= 0 && percent <= 100) {
					return 0, errors.New("parse pressure: avg60 is no percentage")
				}
				return percent / 100, nil
			}
		}
	}
	return 0, errors.New("parse pressure: no avg60 of full")
}

// isNoDevice tells whether a file of sysfs was opened just before its device went away.
func isNoDevice(err error) bool {
	return errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ESRCH)
}

// isAbsent tells whether a directory does not exist.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
