package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// RemoveOptions say how an instance is removed.
type RemoveOptions struct {
	// Images removes the images that were made for it, too.
	Images bool
	// BreakClaim takes claims away whose holders can't be proven dead, and keeps their clients out.
	BreakClaim bool
}

// Remove returns the change that takes an instance out of the inventory. When its node does not answer, another looks at its
// images: as long as the cluster has a client of the instance, it is not removed.
func (s *Instances) Remove(name string, opts RemoveOptions) control.Change {
	return control.Change{
		Kind: "instance-remove", Target: name,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planRemove(ctx, name, opts, memory)
		},
	}
}

func (s *Instances) planRemove(ctx context.Context, name string, opts RemoveOptions, memory *control.Memory) (*control.Plan, error) {
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
	away := map[string]error{}
	if errors.Is(err, control.ErrUnreachable) {
		away[n.Name] = err
		n, l, err = s.lookFromOther(ctx, plan, c, n, r, err)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case l.Guest != nil:
		plan.Block(n.Name, "instance-running", "stop it first: cephctl instance stop "+name, "instance %s runs there", name)
	case l.Problem != "":
		return nil, fmt.Errorf("tell whether instance %s runs on %s: %s", name, n.Name, l.Problem)
	default:
		p := &startPlan{Instances: s, plan: plan, site: c, node: n, request: r, opts: StartOptions{BreakClaim: opts.BreakClaim}, away: away}
		p.takeClaims(ctx, l)
	}
	if len(plan.Blockers) > 0 {
		return plan, nil
	}
	memory.Keep("removing", func() string { return "yes" })
	check := s.stillStopped(n, r, away)
	s.planGiveBack(plan, n, r, l, check)
	if opts.Images {
		s.planRemoveImages(plan, n, r, l, check)
	} else {
		for _, d := range r.Disks {
			plan.Note("image %s (%s) stays", d.Image, whereText(d.Where))
		}
	}
	plan.Steps = append(plan.Steps, control.Step{
		ID: "remove", Node: masterOf(c, n), Title: "take instance " + name + " out of the inventory",
		Commands: []string{"inventory: no instance " + name}, Check: check,
		Do: func(ctx context.Context, _ func(string)) error { return inventory.RemoveInstance(ctx, name) },
	})
	return plan, nil
}

// stillStopped returns a check that an instance has not been started since it was looked at: a start waits for no other change,
// and whoever was asked for consent may have taken their time. Where its own node is away, the claims on its images tell.
func (s *Instances) stillStopped(n control.Node, r *guest.Request, away map[string]error) func(context.Context) error {
	if len(away) > 0 {
		return nil
	}
	return func(ctx context.Context) error {
		l, err := s.lookAt(ctx, n, &guest.Request{Instance: r.Instance, RunDir: r.RunDir})
		if err == nil && l.Guest != nil {
			err = fmt.Errorf("instance %s was started meanwhile: stop it first: cephctl instance stop %[1]s", r.Instance.Name)
		}
		return err
	}
}

// hasNoPool tells whether the pool of an image is gone, and with it the image and all claims on it.
func hasNoPool(d *guest.DiskLook) bool { return d.Problem != nil && d.Problem.Case == "disk-no-pool" }

// takeClaims plans to take the claims away that an instance which is to be removed has on other nodes than the one that has
// looked at it. An image that can't be looked at may have such a claim.
func (p *startPlan) takeClaims(ctx context.Context, l *guest.Look) {
	taken := *p.request
	taken.Disks = nil
	for d := range l.Disks {
		found := &l.Disks[d]
		switch {
		case hasNoPool(found):
		case found.Problem != nil && p.opts.BreakClaim:
			p.plan.Destroys = append(p.plan.Destroys, fmt.Sprintf("what cephctl knows of image %s, though nobody can tell who has it: %s", p.request.Disks[d].Image, found.Problem.Text))
		case found.Problem != nil:
			p.plan.Blockers = append(p.plan.Blockers, *found.Problem)
		case found.Claim != nil && found.Claim.UUID == p.request.Instance.UUID && !found.Dead:
			p.checkClaim(ctx, d, found)
			taken.Disks = append(taken.Disks, p.request.Disks[d])
		}
	}
	if len(p.plan.Blockers) > 0 || len(taken.Disks) == 0 {
		return
	}
	taken.Fence, taken.Dead = p.request.Fence, p.request.Dead
	p.plan.Steps = append(p.plan.Steps, control.Step{
		ID: "claims", Node: p.node.Name, Title: "take its claims away", Commands: []string{"take away the claims of instance " + p.request.Instance.Name},
		Do: func(ctx context.Context, progress func(string)) error {
			return p.call(ctx, p.node, guest.ActionRelease, &taken, nil, progress)
		},
	})
}

// lookFromOther looks at an instance from another node than its own, which does not answer for the reason that is given: one
// of the same group, if any answers. It returns that node, which takes care of the images.
func (s *Instances) lookFromOther(
	ctx context.Context, plan *control.Plan, c *site, own control.Node, r *guest.Request, why error,
) (control.Node, *guest.Look, error) {
	nodes := slices.DeleteFunc(slices.Clone(c.Nodes), func(n control.Node) bool { return n.Offline || n.Name == own.Name })
	slices.SortStableFunc(nodes, func(a, b control.Node) int {
		return cmp.Compare(distance(a, own), distance(b, own))
	})
	for _, n := range nodes {
		r.Instance.Node = n.Name
		if l, err := s.lookAt(ctx, n, r); err == nil {
			l.Guest = nil // one of the same name that is left there from before
			plan.Note("%s does not answer: %s takes care of the images", own.Name, n.Name)
			return n, l, nil
		}
	}
	return own, nil, fmt.Errorf("%w; and no other node can look at the images", why)
}

// distance is less for a node of the same group.
func distance(a, b control.Node) int {
	if a.Group == b.Group {
		return 0
	}
	return 1
}

// planGiveBack plans to take away what is left of an instance on the node that has looked at it.
func (s *Instances) planGiveBack(plan *control.Plan, n control.Node, r *guest.Request, l *guest.Look, check func(context.Context) error) {
	for d := range l.Disks {
		if found := &l.Disks[d]; found.InUse && !found.Foreign {
			deviceInUse(plan, n, d, r.Disks[d].Image, found)
		}
	}
	if !hasLeft(r, l) {
		return
	}
	left := *r
	left.Disks = nil
	for d := range l.Disks {
		if l.Disks[d].Problem == nil {
			left.Disks = append(left.Disks, r.Disks[d])
		}
	}
	plan.Steps = append(plan.Steps, control.Step{
		ID: "left", Node: n.Name, Title: "give back what is left of it", Commands: []string{"give back its claims and block devices"}, Check: check,
		Do: func(ctx context.Context, progress func(string)) error {
			var stopped guest.Stopped
			err := s.call(ctx, n, guest.ActionStop, &left, &stopped, progress)
			if err == nil && len(stopped.Left) > 0 {
				err = errors.New(strings.Join(stopped.Left, "; "))
			}
			return err
		},
	})
}

// planRemoveImages plans to remove the images that were made for an instance and that nobody has open.
func (s *Instances) planRemoveImages(plan *control.Plan, n control.Node, r *guest.Request, l *guest.Look, check func(context.Context) error) {
	remove := *r
	remove.Disks = nil
	for i, d := range r.Disks {
		found := &l.Disks[i]
		switch {
		case hasNoPool(found):
		case !d.Made:
			plan.Note("image %s (%s) stays: it was there before", d.Image, whereText(d.Where))
		case found.Problem != nil: // what was not looked at is forgotten at most
			plan.Blockers = append(plan.Blockers, *found.Problem)
		case found.Foreign:
			deviceForeign(plan, n, i, d.Image, found)
		case len(found.Strangers()) > 0:
			imageInUse(plan, n, i, d.Image, found.Strangers())
		case found.Claim != nil && found.Claim.UUID != r.Instance.UUID && !found.Dead:
			plan.Block(n.Name, "image-claimed", "leave out --images", "disk %d: image %s is claimed by %s", i, d.Image, found.Claim)
		case found.Exists:
			plan.Destroys = append(plan.Destroys, fmt.Sprintf("image %s (%s)", d.Image, whereText(d.Where)))
			remove.Disks = append(remove.Disks, d)
		}
	}
	if len(remove.Disks) == 0 {
		return
	}
	plan.Steps = append(plan.Steps, control.Step{
		ID: "images", Node: n.Name, Title: "remove the images", Commands: plan.Destroys[len(plan.Destroys)-len(remove.Disks):], Check: check,
		Do: func(ctx context.Context, progress func(string)) error {
			return s.call(ctx, n, guest.ActionRemove, &remove, nil, progress)
		},
	})
}
