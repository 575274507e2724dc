package settings

import (
	"maps"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/near"
)

// Suggest returns words that name the nearest known setting, or nothing when none is near.
func Suggest[V any](name string, known map[string]V) string {
	best := near.Name(name, slices.Collect(maps.Keys(known)))
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
