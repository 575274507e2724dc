package instance

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// managedList lists the instances with what the inventory says of them: asking each node about each takes too long where
// there are hundreds.
func (s *Instances) managedList(ctx context.Context, c *site, images bool) ([]*Info, error) {
	if images {
		if err := s.askImages(ctx, c); err != nil {
			return nil, err
		}
	}
	infos := make([]*Info, len(c.Instances))
	for at, i := range c.Instances {
		r, err := s.request(c, i, false)
		if err != nil {
			return nil, err
		}
		n, _ := c.Node(i.Node)
		infos[at] = s.newInfo(c, i, n, r)
		switch {
		case i.Status == statusRunning:
			infos[at].State = i.Status
		case stoppedBy(i.Status):
			infos[at].State = StateStopped
		default:
			infos[at].Problem = "Ganeti says " + i.Status
		}
	}
	return infos, nil
}

// askImages fills in the images of all instances.
func (s *Instances) askImages(ctx context.Context, c *site) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(max(1, s.Env.Parallel))
	for at := range c.Instances {
		all.Go(func() (err error) {
			c.Instances[at], err = s.manager().Images(ctx, c.Instances[at])
			return err
		})
	}
	return all.Wait()
}

// What Ganeti says of an instance that is well. Those that somebody wants to be stopped end with statusDown.
const (
	statusRunning = "running"
	statusDown    = "_down"
	statusError   = "ERROR"
)

// stoppedBy tells whether an instance does not run, as somebody wants it: ADMIN_down, USER_down, or ADMIN_offline.
func stoppedBy(status string) bool {
	return !strings.HasPrefix(status, statusError) && (strings.HasSuffix(status, statusDown) || status == "ADMIN_offline")
}

// warnings are what an instance of Ganeti's has to be warned of.
func warnings(m control.InstanceManager, c *site, i *Info) []string {
	var all []string
	for n, d := range i.Specs {
		if n < len(i.Looks) {
			all = append(all, diskWarnings(i, d, &i.Looks[n])...)
		}
		for _, trap := range m.Traps(c.Release, d) {
			all = append(all, fmt.Sprintf("disk/%d: %s", d.Index, trap))
		}
	}
	for _, open := range i.Stray {
		all = append(all, "QEMU has "+open+" open, which is no disk of the instance any more: the guest has not let it go when it was removed")
	}
	return all
}

// diskWarnings are what is not as it should be with a disk.
func diskWarnings(i *Info, d control.DiskSpec, l *guest.DiskLook) []string {
	var all []string
	add := func(format string, args ...any) {
		all = append(all, fmt.Sprintf("disk/%d: ", d.Index)+fmt.Sprintf(format, args...))
	}
	next := d.Params[paramAccess]
	asStarted := d
	asStarted.Params = map[string]string{paramAccess: l.Access}
	switch text := notOpen(asStarted, l); {
	case i.PID == 0 && len(l.Watchers) > 0:
		add("image %s is open, by client %s, and the instance does not run", d.Image, strings.Join(l.Watchers, ", "))
	case i.PID == 0 || i.Problem != "":
	case l.Access != next:
		add("access is %s since its last start, and %s from the next one on (%s)", l.Access, next, i.AccessSource)
	case text != "":
		add("%s", text)
	}
	return all
}
