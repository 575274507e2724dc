package settings

import "github.com/agnivade/levenshtein"

// Suggest returns words that name the nearest known setting, or nothing when none is near. A beginning of a
// name is near it.
func Suggest[V any](name string, known map[string]V) string {
	best, least := "", len(name)/2+1
	for k := range known {
		d := levenshtein.ComputeDistance(name, k)
		if len(k) > len(name) {
			d = min(d, 1+levenshtein.ComputeDistance(name, k[:len(name)]))
		}
		if d < least || d == least && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
