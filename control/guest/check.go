package guest

import (
	"context"
	"errors"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/guestdisk"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// ActionCheck answers Check: may disks be opened here, whoever starts the guest?
const ActionCheck = "instance-check"

// Check is what a node says of disks that are to be opened there.
type Check struct {
	// Lacks are why they can't be, Risks what may come of it, and Unclear why nobody can tell.
	Lacks   []control.Blocker  `json:"lacks"`
	Risks   []control.DiskRisk `json:"risks"`
	Unclear []control.Blocker  `json:"unclear"`
}

func (h Handler) check(ctx context.Context, r *Request) (*Check, error) {
	c := &Check{Lacks: []control.Blocker{}, Risks: []control.DiskRisk{}, Unclear: []control.Blocker{}}
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err != nil {
			return nil, err
		}
		risk, err := mayOpen(ctx, host, d)
		switch {
		case err == nil:
		case isLack(err):
			c.Lacks = append(c.Lacks, blocker(r, d, err))
		default:
			c.Unclear = append(c.Unclear, blocker(r, d, err))
		}
		if risk != nil {
			c.Risks = append(c.Risks, *risk)
		}
	}
	return c, nil
}

// isLack tells whether an error says that a disk can't be opened, and not only that nobody could find out.
func isLack(err error) bool {
	var known *control.DiskError
	return errors.As(err, &known) && known.Case != guestdisk.CaseNoAnswer
}

// mayOpen returns why a disk can't be opened, or what may come of it. It asks for an image that there is not, which is one
// question instead of five: what keeps that one from being found missing keeps all images from being opened.
func mayOpen(ctx context.Context, host control.DiskHost, d control.DiskSpec) (*control.DiskRisk, error) {
	if err := host.Check(ctx, d); err != nil {
		return nil, err
	}
	none := d
	none.Image += ".none"
	if _, err := host.Look(ctx, none); err != nil {
		return nil, err
	}
	return host.Risk(ctx, d)
}
