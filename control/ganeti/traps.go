package ganeti

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// accessUserspace is the value of the disk parameter with which QEMU opens the image itself.
const accessUserspace = "userspace"

// Releases at which Ganeti's ways with images change.
var (
	// strictNames is the first that takes pools and images apart by a pattern of its own in userspace mode.
	strictNames = []int{3, 1, 0}
	// mapsNoMore is the first that lets the kernel map only what the kernel is to serve.
	mapsNoMore = []int{3, 1, 2}
)

// plainName is what names of pools have to be like from strictNames on.
var plainName = regexp.MustCompile(`^\w+$`)

// Traps implements control.InstanceManager.
func (*Inventory) Traps(release string, d control.DiskSpec) []string {
	if d.Template != rbd || d.Params[paramAccess] != accessUserspace {
		return nil
	}
	var traps []string
	if slices.Compare(numbers(release), mapsNoMore) < 0 {
		traps = append(traps, fmt.Sprintf("Ganeti %s lets the kernel map the image also with access=userspace, for administrators: "+
			"the node needs the module rbd, and what is written to that device may hang a node that serves it", release))
	}
	if pool := d.Params[paramPool]; slices.Compare(numbers(release), strictNames) >= 0 && !plainName.MatchString(pool) {
		traps = append(traps, fmt.Sprintf("Ganeti %s can't start it with access=userspace from pool %s: it takes letters, digits and _ in the name of a pool", release, pool))
	}
	return traps
}

// numbers are those of a release: "3.0.2", or "3.1.0~rc2".
func numbers(release string) []int {
	var all []int
	for part := range strings.SplitSeq(release, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		all = append(all, n)
	}
	return all
}
