package node

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// byID is where udev keeps names that do not change at a boot.
const byID = "/dev/disk/by-id"

// stableName returns a path below byID that leads to the device, or the path itself.
func stableName(path, real string) string {
	if filepath.Dir(path) == byID {
		return path
	}
	entries, err := os.ReadDir(byID)
	if err != nil {
		return path
	}
	var names []string
	for _, entry := range entries {
		if target, err := filepath.EvalSymlinks(filepath.Join(byID, entry.Name())); err == nil && target == real {
			names = append(names, entry.Name())
		}
	}
	if best := bestName(names); best != "" {
		return filepath.Join(byID, best)
	}
	return path
}

// bestName prefers names that the hardware gives over those that depend on how it is attached or what is on it.
func bestName(names []string) string {
	rank := func(name string) int {
		order := []string{"wwn-", "nvme-eui.", "nvme-", "scsi-", "ata-"}
		for i, prefix := range order {
			if strings.HasPrefix(name, prefix) {
				return i
			}
		}
		if strings.HasPrefix(name, "lvm-pv-uuid-") {
			return len(order) + 1
		}
		return len(order)
	}
	if len(names) == 0 {
		return ""
	}
	return slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}
