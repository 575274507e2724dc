package krbd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sectorBytes is the unit of the kernel's block statistics, whatever the device's own sectors are.
const sectorBytes = 512

// IO is what went through a block device since it came, and what is in flight now. All but the in-flight
// requests only grow while the device lives.
type IO struct {
	Reads, Writes                 uint64
	ReadBytes, WrittenBytes       uint64
	ReadTime, WriteTime           time.Duration
	ReadsInFlight, WritesInFlight uint64
}

func readIO(dir string) (IO, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return IO{}, err
	}
	inflight, err := os.ReadFile(filepath.Join(dir, "inflight"))
	if err != nil {
		return IO{}, err
	}
	io, err := parseStat(string(stat))
	if err != nil {
		return IO{}, fmt.Errorf("parse stat: %w", err)
	}
	io.ReadsInFlight, io.WritesInFlight, err = parseInflight(string(inflight))
	if err != nil {
		return IO{}, fmt.Errorf("parse inflight: %w", err)
	}
	return io, nil
}

// parseStat takes /sys/block/<device>/stat: 11 numbers or more, of which the first four are finished reads,
// merged reads, sectors and milliseconds, and the next four the same of writes.
func parseStat(s string) (IO, error) {
	v, err := numbers(s, 11)
	if err != nil {
		return IO{}, err
	}
	return IO{
		Reads:        v[0],
		ReadBytes:    v[2] * sectorBytes,
		ReadTime:     time.Duration(v[3]) * time.Millisecond,
		Writes:       v[4],
		WrittenBytes: v[6] * sectorBytes,
		WriteTime:    time.Duration(v[7]) * time.Millisecond,
	}, nil
}

// parseInflight takes /sys/block/<device>/inflight: the number of reads and the number of writes.
func parseInflight(s string) (reads, writes uint64, err error) {
	v, err := numbers(s, 2)
	if err != nil {
		return 0, 0, err
	}
	return v[0], v[1], nil
}

func numbers(s string, atLeast int) ([]uint64, error) {
	fields := strings.Fields(s)
	if len(fields) < atLeast {
		return nil, fmt.Errorf("%d numbers, want %d", len(fields), atLeast)
	}
	v := make([]uint64, len(fields))
	for i, f := range fields {
		var err error
		if v[i], err = strconv.ParseUint(f, 10, 64); err != nil {
			return nil, err
		}
	}
	return v, nil
}
