package instance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// StopOptions say how an instance is stopped.
type StopOptions struct {
	// Node is where: what is left of an instance that was started elsewhere. The node of the instance when empty.
	Node string
	// Timeout is what the guest has to shut itself down.
	Timeout time.Duration
}

// Stop returns the change that stops an instance. Result is filled in when it has stopped.
func (s *Instances) Stop(name string, opts StopOptions, result *guest.Stopped) control.Change {
	return control.Change{
		Kind: "instance-stop", Target: name, Free: true,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			return s.planStop(ctx, name, opts, result)
		},
	}
}

func (s *Instances) planStop(ctx context.Context, name string, opts StopOptions, result *guest.Stopped) (*control.Plan, error) {
	if m := s.manager(); m != nil {
		return s.planManagedStop(ctx, m, name, opts, result)
	}
	plan := &control.Plan{Title: "stop instance " + name}
	c, i, n, err := s.load(ctx, name, opts.Node)
	if err != nil {
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
	if l.Guest == nil && !hasLeft(r, l) {
		plan.Note("instance %s does not run", name)
		return plan, nil
	}
	r.Timeout = opts.Timeout
	step := control.Step{
		ID: "stop", Node: n.Name, Title: "stop instance " + name,
		Do: func(ctx context.Context, progress func(string)) error {
			return s.call(ctx, n, guest.ActionStop, r, result, progress)
		},
	}
	if l.Guest != nil {
		step.Commands = []string{
			"QMP: system_powerdown, and wait " + opts.Timeout.String(),
			"QMP: quit, unless it has ended",
			fmt.Sprintf("kill -9 %d, unless it has ended", l.Guest.PID),
		}
	}
	step.Commands = append(step.Commands, "give back its claims and block devices")
	plan.Steps = append(plan.Steps, step)
	return plan, nil
}

// hasLeft tells whether an instance that does not run has left something on its node: a claim of a guest that has ended, or of
// one that an agent is about to start, though whoever has asked for it may have gone; or a block device.
func hasLeft(r *guest.Request, l *guest.Look) bool {
	return slices.ContainsFunc(l.Disks, func(d guest.DiskLook) bool {
		claimed := d.Claim != nil && d.Claim.UUID == r.Instance.UUID && d.Claim.Host == l.Host
		return claimed || d.Mapped != "" && !d.Foreign
	})
}

// load returns what is known, and from it an instance with its node, or on another.
func (s *Instances) load(ctx context.Context, name, node string) (*site, control.Instance, control.Node, error) {
	c, err := s.site(ctx)
	if err != nil {
		return nil, control.Instance{}, control.Node{}, err
	}
	i, n, err := find(c, name, node)
	return c, i, n, err
}

// lookAt asks a node what there is of an instance.
func (s *Instances) lookAt(ctx context.Context, n control.Node, r *guest.Request) (*guest.Look, error) {
	l := &guest.Look{}
	err := s.call(ctx, n, guest.ActionLook, r, l, nil)
	return l, err
}
