package main

import "github.com/agnivade/levenshtein"

// suggest returns words that name the nearest known setting, or nothing when none is near.
func suggest[V any](name string, known map[string]V) string {
	best, distance := "", len(name)/2+1
	for k := range known {
		if d := levenshtein.ComputeDistance(name, k); d < distance || d == distance && k < best {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
