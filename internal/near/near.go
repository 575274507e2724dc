// Package near finds what was meant by a name that is not known.
package near

import "github.com/agnivade/levenshtein"

// Name returns the known name that is most likely meant, or nothing when none is near. A beginning of a name is near it.
func Name(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		d := levenshtein.ComputeDistance(name, k)
		if len(k) > len(name) {
			d = min(d, 1+levenshtein.ComputeDistance(name, k[:len(name)]))
		}
		if d < least || d == least && k < best {
			best, least = k, d
		}
	}
	return best
}
