package exporter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/prometheus/procfs"
)

// processUse is what a process uses, as /proc/PID/stat says.
type processUse struct {
	user, system      float64 // CPU time in seconds
	threads           float64
	start             float64 // in seconds after the node's
	virtual, resident float64 // bytes
}

var errProcessStat = errors.New("malformed stat of a process")

// readProcess reads what a process uses. The general reader of the procfs module costs as much as a third of all
// that is done for a daemon, so this takes the few fields that are wanted.
func readProcess(root string, pid int) (processUse, error) {
	data, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return processUse{}, fmt.Errorf("read use of process: %w", err)
	}
	return parseProcess(data)
}

// parseProcess reads /proc/PID/stat. See proc(5) for its fields; the first is 1, and the second, in parentheses,
// may hold anything.
func parseProcess(data []byte) (processUse, error) {
	const (
		afterName = 3
		ticks     = 100 // USER_HZ, the same on every Linux that Debian knows
	)
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	var err error
	field := func(n int) float64 {
		if n-afterName >= len(fields) {
			err = errProcessStat
			return 0
		}
		value, parseErr := strconv.ParseUint(string(fields[n-afterName]), 10, 64)
		if parseErr != nil {
			err = errProcessStat
		}
		return float64(value)
	}
	use := processUse{
		user: field(14) / ticks, system: field(15) / ticks,
		threads: field(20), start: field(22) / ticks,
		virtual: field(23), resident: field(24) * float64(os.Getpagesize()),
	}
	return use, err
}

// bootTime returns when the node started, in seconds since the epoch; 0 when procfs does not say.
func bootTime(root string) float64 {
	fs, err := procfs.NewFS(root)
	if err != nil {
		return 0
	}
	stat, err := fs.Stat()
	if err != nil {
		return 0
	}
	return float64(stat.BootTime)
}

// process puts in CPU time and memory of the daemon's process. It may be gone or in a PID namespace that can't be
// seen from here; then there is nothing to say.
func (d *Daemon) process(state *daemonState, b *Batch, boot float64) {
	if state.pid == 0 {
		return
	}
	use, err := readProcess(d.opts.Procfs, state.pid)
	if err != nil {
		return
	}
	daemon := state.socket.Daemon()
	b.Add(daemonCPU, use.user, daemon, "user")
	b.Add(daemonCPU, use.system, daemon, "system")
	b.Add(daemonResident, use.resident, daemon)
	b.Add(daemonVirtual, use.virtual, daemon)
	b.Add(daemonThreads, use.threads, daemon)
	if boot != 0 {
		b.Add(daemonStart, boot+use.start, daemon)
	}
}
