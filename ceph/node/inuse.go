package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/procfile"
)

// inUse says what the kernel uses a device for, or nothing.
func inUse(real, number string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("read mounts: %w", err)
	}
	if on := mountedOn(mounts, number); on != "" {
		return "mounted on " + on, nil
	}
	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("read swaps: %w", err)
	}
	if isSwap(swaps, real) {
		return "used as swap", nil
	}
	return heldBySysfs(filepath.Join("/sys/dev/block", number))
}

// mountedOn finds the mount point of a device, "8:1", in /proc/self/mountinfo.
func mountedOn(mounts []byte, number string) string {
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[2] == number {
			return procfile.Unescape(fields[4])
		}
	}
	return ""
}

func isSwap(swaps []byte, real string) bool {
	for line := range strings.Lines(string(swaps)) {
		if fields := strings.Fields(line); len(fields) > 0 && procfile.Unescape(fields[0]) == real {
			return true
		}
	}
	return false
}

// heldBySysfs says what is made of a device: partitions, volumes, RAIDs; or that it can't be written.
func heldBySysfs(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("read sysfs: %w", err)
	}
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(folder, entry.Name(), "partition")); err == nil {
			return "partition " + entry.Name(), nil
		}
	}
	holders, err := os.ReadDir(filepath.Join(folder, "holders"))
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("read sysfs: %w", err)
	}
	for _, holder := range holders {
		return "used by " + holder.Name(), nil
	}
	if readOnly, err := os.ReadFile(filepath.Join(folder, "ro")); err == nil && strings.TrimSpace(string(readOnly)) == "1" {
		return "write-protected", nil
	}
	return "", nil
}
