package instance

import (
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// checkRisk adds what may come of opening a disk on a node: a blocker, or a note where it is low or allowed. First and
// last are the ways out besides those of the disk's storage, best first.
func checkRisk(plan *control.Plan, n control.Node, d int, found *guest.DiskLook, allowed bool, first, last []string) {
	risk := found.Risk
	switch {
	case risk == nil:
	case risk.Refused() && !allowed:
		cures := append(append(append(first, risk.Cures...), last...), "or take the risk: --allow-loopback")
		plan.Block(n.Name, "loopback", strings.Join(cures, "; "), "disk %d: %s", d, risk.Text)
	default:
		plan.Note("warning: %s: disk %d: %s", n.Name, d, risk.Text)
	}
}
