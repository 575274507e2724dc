package instance

import (
	"context"
	"fmt"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// accessStep returns the step that gives the group of a node another access, and gives it to the disks of a request. It is
// nil when they have it already, or none is asked for. The access belongs to the group: it is read from there at a start.
func (s *Instances) accessStep(plan *control.Plan, c *site, n control.Node, access string, r *guest.Request) (*control.Step, error) {
	if access != "" && len(r.Disks) == 0 {
		plan.Note("instance %s has no disk with an access: --access changes nothing", r.Instance.Name)
	}
	at := slices.IndexFunc(r.Disks, func(d control.DiskSpec) bool { return d.Params[paramAccess] != access })
	if access == "" || at < 0 {
		return nil, nil
	}
	inventory, ok := s.Env.Inventory.(control.DiskParamInventory)
	if !ok {
		return nil, fmt.Errorf("%w: --access: this inventory has no disk parameters", control.ErrUsage)
	}
	t, err := c.template(r.Disks[at].Template)
	if err != nil {
		return nil, err
	}
	g, _ := c.Group(n.Group)
	now := g.DiskParams[t.Name()]
	job, err := inventory.ChangeDiskParams(t, g.Name, now, control.Merge(now, control.Values{paramAccess: {access}}))
	if err != nil {
		return nil, err
	}
	for d := range r.Disks {
		r.Disks[d].Params[paramAccess] = access
	}
	plan.Note("access=%s holds for all instances of group %s, from their next start on", access, g.Name)
	return &control.Step{
		ID: "access", Node: masterOf(c, n), Title: "give group " + g.Name + " access=" + access, Commands: []string{job.Text},
		Do: func(ctx context.Context, _ func(string)) error { return s.locked(ctx, job.Do) },
	}, nil
}

// locked makes a change of the inventory in a change that is free. What manages instances has locks of its own.
func (s *Instances) locked(ctx context.Context, do func(context.Context) error) error {
	if s.manager() != nil {
		return do(ctx)
	}
	release, err := s.Env.Store.Lock(ctx, "cephctl instance start --access")
	if err != nil {
		return err
	}
	defer release()
	return do(ctx)
}

// rememberStep returns the step that notes the clients of a guest which runs, or nil when they are known. Who had started it was killed
// before; when nobody can ask its node any more, they are who is to be kept out.
func (s *Instances) rememberStep(n control.Node, r *guest.Request, l *guest.Look, result *kvm.Status) *control.Step {
	unknown := *r
	unknown.Disks = nil
	for d := range l.Disks {
		if l.Disks[d].Claim != nil && len(l.Disks[d].Clients) == 0 {
			unknown.Disks = append(unknown.Disks, r.Disks[d])
		}
	}
	if len(unknown.Disks) == 0 {
		return nil
	}
	return &control.Step{
		ID: "clients", Node: n.Name, Title: "note the clients of instance " + r.Instance.Name, Commands: []string{"note with the images which clients have them open"},
		Do: func(ctx context.Context, progress func(string)) error {
			*result = *l.Guest
			return s.call(ctx, n, guest.ActionRemember, &unknown, nil, progress)
		},
	}
}

// runsAlready says that an instance runs, and adds the step that gives its group another access, if there is one. Result is
// filled in with what the guest says.
func runsAlready(plan *control.Plan, r *guest.Request, l *guest.Look, access *control.Step, result *kvm.Status) {
	plan.Note("instance %s runs already, on %s", r.Instance.Name, r.Instance.Node)
	if l.Problem != "" {
		plan.Note("warning: it does not answer: %s", l.Problem)
	}
	if access == nil {
		return
	}
	step, change := *access, access.Do
	step.Do = func(ctx context.Context, progress func(string)) error {
		*result = *l.Guest
		return change(ctx, progress)
	}
	plan.Steps = append(plan.Steps, step)
	plan.Note("it keeps what it was started with until its next start")
}
