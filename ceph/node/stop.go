package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/procfile"
)

// stop stops a unit, and returns when it has.
type stop struct {
	unit string
	// static is for a unit that is not enabled by itself.
	static bool
}

func (s stop) command() command {
	if s.static {
		return run("systemctl", "stop", s.unit)
	}
	return run("systemctl", "disable", "--now", s.unit)
}

// settle makes systemd forget how the unit ended.
func (s stop) settle() command {
	return command{argv: []string{"systemctl", "reset-failed", s.unit}, mayFail: true}
}

func (s stop) lines() []string { return append(s.command().lines(), s.settle().lines()...) }

func (s stop) do(ctx context.Context, h *Host) error {
	failed := s.command().do(ctx, h)
	shown, err := h.run(ctx, "systemctl", "show", "--property=ActiveState,LoadState", s.unit)
	if err != nil {
		return err
	}
	for _, unit := range parseUnits(shown) {
		if unit["LoadState"] == "not-found" {
			// Its package was removed before.
			return nil
		}
		if state := unit["ActiveState"]; failed == nil && state != "inactive" && state != "failed" {
			return fmt.Errorf("stop %s: it is still %s", s.unit, state)
		}
	}
	if failed != nil {
		return failed
	}
	return s.settle().do(ctx, h)
}

// unmount takes the tmpfs off a data folder.
type unmount struct{ path string }

func (u unmount) lines() []string {
	return []string{quote([]string{"umount", u.path}) + "  # if something is mounted there"}
}

func (u unmount) do(ctx context.Context, h *Host) error {
	real, err := filepath.EvalSymlinks(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resolve path: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 && procfile.Unescape(fields[4]) == real {
			if err := run("umount", real).do(ctx, h); err != nil {
				return err
			}
		}
	}
	return nil
}
