package instance

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// States of an instance that has no guest to say its own.
const (
	StateStopped = "stopped"
	StateUnknown = "unknown"
)

// Info is what there is of an instance.
type Info struct {
	control.Instance
	// State is QEMU's, for example "running", or one of the above.
	State string `json:"state"`
	// Problem is why the state is unknown.
	Problem string `json:"problem,omitempty"`
	PID     int    `json:"pid,omitempty"`
	Accel   string `json:"accelerator,omitempty"`
	QEMU    string `json:"qemu,omitempty"`
	// Warnings are what is not as it should be, or is known to go wrong, in sentences.
	Warnings []string `json:"warnings,omitempty"`
	// AccessSource is where the access of the next start comes from.
	AccessSource string `json:"access_source,omitempty"`
	// Specs are the disks with their parameters, Looks what the node says of them, in the same order.
	Specs []control.DiskSpec `json:"disk_parameters"`
	Looks []guest.DiskLook   `json:"disk_states"`
	// Stray is what the guest has open that is of none of these disks.
	Stray []string `json:"stray,omitempty"`
}

// Info returns what there is of an instance.
func (s *Instances) Info(ctx context.Context, name string) (*Info, error) {
	c, i, n, err := s.load(ctx, name, "")
	if err != nil {
		return nil, err
	}
	m := s.manager()
	if m != nil {
		if i, err = m.Images(ctx, i); err != nil {
			return nil, err
		}
	}
	info, err := s.info(ctx, c, i, n, true)
	if err == nil && m != nil {
		info.Warnings = warnings(m, c, info)
	}
	return info, err
}

// List returns all instances, without what there is of their images. The names of images are asked for where the inventory
// tells them only one by one.
func (s *Instances) List(ctx context.Context, images bool) ([]*Info, error) {
	c, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	if s.manager() != nil {
		return s.managedList(ctx, c, images)
	}
	infos, errs := make([]*Info, len(c.Instances)), make([]error, len(c.Instances))
	var all errgroup.Group
	all.SetLimit(max(1, s.Env.Parallel))
	for at, i := range c.Instances {
		all.Go(func() error {
			n, _ := c.Node(i.Node)
			infos[at], errs[at] = s.info(ctx, c, i, n, false)
			return nil
		})
	}
	_ = all.Wait() // each error is kept
	return infos, errors.Join(errs...)
}

// newInfo is what is known of an instance without asking its node.
func (s *Instances) newInfo(c *site, i control.Instance, n control.Node, r *guest.Request) *Info {
	info := &Info{Instance: i, State: StateUnknown, Specs: r.Disks, Looks: []guest.DiskLook{}}
	g, _ := c.Group(n.Group)
	for _, t := range c.templates {
		for _, v := range c.ResolveDisk(t, g) {
			if v.Name == paramAccess {
				info.AccessSource = v.Source
			}
		}
	}
	return info
}

func (s *Instances) info(ctx context.Context, c *site, i control.Instance, n control.Node, images bool) (*Info, error) {
	r, err := s.request(c, i, false)
	if err != nil {
		return nil, err
	}
	info := s.newInfo(c, i, n, r)
	if n.Name == "" || n.Offline {
		info.Problem = "its node is offline or gone"
		return info, nil
	}
	asked := *r
	if !images {
		asked.Disks = nil
	}
	l, err := s.lookAt(ctx, n, &asked)
	if err != nil {
		info.Problem = err.Error()
		return info, ctx.Err()
	}
	info.Looks, info.State, info.Problem, info.Stray = l.Disks, StateStopped, l.Problem, l.Stray
	if l.Guest != nil {
		info.PID, info.Accel, info.QEMU, info.State = l.Guest.PID, l.Guest.Accel, l.Guest.Version, l.Guest.State
	}
	if info.State == "" {
		info.State = StateUnknown // it runs and does not answer
	}
	if image := l.Lost(&asked); image != "" {
		info.Problem = "it has lost image " + image + ": its claim was taken away"
	}
	return info, nil
}
