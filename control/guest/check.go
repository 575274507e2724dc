package guest

import (
	"context"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// ActionCheck answers Check: may disks be opened here, whoever starts the guest?
const ActionCheck = "instance-check"

// Check is what a node says of disks that are to be opened there.
type Check struct {
	// Lacks are why they can't be, Risks what may come of it.
	Lacks []control.Blocker  `json:"lacks"`
	Risks []control.DiskRisk `json:"risks"`
}

func (h Handler) check(ctx context.Context, r *Request) (*Check, error) {
	c := &Check{Lacks: []control.Blocker{}, Risks: []control.DiskRisk{}}
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err != nil {
			return nil, err
		}
		risk, err := mayOpen(ctx, host, d)
		if err != nil {
			c.Lacks = append(c.Lacks, blocker(r, d, err))
		}
		if risk != nil {
			c.Risks = append(c.Risks, *risk)
		}
	}
	return c, nil
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
