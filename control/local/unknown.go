package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/near"
)

// namesListed is how many names an error lists.
const namesListed = 8

// unknown returns the error about a name that is not among the known ones. It helps to find the right one.
func unknown(kind, name string, known []string) error {
	return fmt.Errorf("%s %s is %w%s", kind, name, control.ErrUnknown, help(kind, name, known))
}

func help(kind, name string, known []string) string {
	switch best := near.Name(name, known); {
	case len(known) == 0:
		return fmt.Sprintf(", which has no %s yet", kind)
	case len(known) <= namesListed:
		return ", which has " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	case best != "":
		return "; did you mean " + best + "?"
	}
	return ""
}
