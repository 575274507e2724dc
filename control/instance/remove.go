package instance

import (
	"context"
	"fmt"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// Remove returns the change that takes an instance out of the inventory, and with images removes those that were made for it.
func (s *Instances) Remove(name string, images bool) control.Change {
	return control.Change{
		Kind: "instance-remove", Target: name,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planRemove(ctx, name, images, memory)
		},
	}
}

func (s *Instances) planRemove(ctx context.Context, name string, images bool, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "remove instance " + name}
	inventory, err := keeper(s.Env, "gnt-instance remove "+name)
	if err != nil {
		return nil, err
	}
	c, i, n, err := s.load(ctx, name, "")
	if err != nil {
		if memory.Get("removing") != "" {
			return plan, nil // it was begun, and has been done to the end
		}
		return nil, err
	}
	r, err := s.request(c, i, false)
	if err != nil {
		return nil, err
	}
	l, err := s.lookAt(ctx, n, r)
	if err != nil {
		return nil, err
	}
	if l.Guest != nil {
		plan.Block(n.Name, "instance-running", "stop it first: cephctl instance stop "+name, "instance %s runs there", name)
		return plan, nil
	}
	memory.Keep("removing", func() string { return "yes" })
	if images {
		s.planRemoveImages(plan, n, r, l)
	} else {
		for _, d := range r.Disks {
			plan.Note("image %s (%s) stays", d.Image, whereText(d.Where))
		}
	}
	plan.Steps = append(plan.Steps, control.Step{
		ID: "remove", Node: masterOf(c, n), Title: "take instance " + name + " out of the inventory",
		Commands: []string{"inventory: no instance " + name},
		Do:       func(ctx context.Context, _ func(string)) error { return inventory.RemoveInstance(ctx, name) },
	})
	return plan, nil
}

// planRemoveImages plans to remove the images that were made for an instance and that nobody has open.
func (s *Instances) planRemoveImages(plan *control.Plan, n control.Node, r *guest.Request, l *guest.Look) {
	remove := *r
	remove.Disks = nil
	for i, d := range r.Disks {
		found := &l.Disks[i]
		switch {
		case !d.Made:
			plan.Note("image %s (%s) stays: it was there before", d.Image, whereText(d.Where))
		case found.Problem != nil:
			plan.Blockers = append(plan.Blockers, *found.Problem)
		case len(found.Watchers) > 0:
			plan.Block(n.Name, "image-in-use", "end that first", "disk %d: image %s is open elsewhere, by client %v", i, d.Image, found.Watchers)
		case found.Exists:
			plan.Destroys = append(plan.Destroys, fmt.Sprintf("image %s (%s)", d.Image, whereText(d.Where)))
			remove.Disks = append(remove.Disks, d)
		}
	}
	if len(remove.Disks) == 0 {
		return
	}
	plan.Steps = append(plan.Steps, control.Step{
		ID: "images", Node: n.Name, Title: "remove the images", Commands: plan.Destroys,
		Do: func(ctx context.Context, progress func(string)) error {
			return s.call(ctx, n, guest.ActionRemove, &remove, nil, progress)
		},
	})
}
