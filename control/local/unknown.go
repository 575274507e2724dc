package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// namesListed is how many names an error lists.
const namesListed = 8

// unknown returns the error about a name that is not among the known ones. It helps to find the right one.
func unknown(kind, name string, known []string) error {
	return fmt.Errorf("%s %s is %w%s", kind, name, control.ErrUnknown, help(kind, name, known))
}

func help(kind, name string, known []string) string {
	switch near := nearest(name, known); {
	case len(known) == 0:
		return fmt.Sprintf(", which has no %s yet", kind)
	case len(known) <= namesListed:
		return ", which has " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	case near != "":
		return "; did you mean " + near + "?"
	}
	return ""
}

// nearest returns the name that is most likely meant, or nothing when none is near. A beginning of a name is near it.
func nearest(name string, known []string) string {
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
