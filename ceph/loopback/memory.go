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

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/procfile"
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
	for name, value := range map[string]*uint64{
		"MemTotal": &m.Total, "MemAvailable": &m.Available, "Dirty": &m.Dirty, "Writeback": &m.Writeback,
	} {
		var err error
		if *value, err = procfile.Memory(text, name); err != nil {
			return err
		}
	}
	if m.Total == 0 {
		return errors.New("parse meminfo: MemTotal is 0")
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
