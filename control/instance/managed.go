package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// paramAccess is the disk parameter that says who does the I/O: QEMU itself, with the value accessUserspace.
const (
	paramAccess     = "access"
	accessUserspace = "userspace"
)

// blockDevices are the drivers by which QEMU has a device of the kernel open.
var blockDevices = []string{"host_device", "file"}

// planManagedStart plans to have an instance started by who manages it, and to look whether its disks are open as they are
// to be.
func (s *Instances) planManagedStart(ctx context.Context, m control.InstanceManager, name string, opts StartOptions, result *kvm.Status) (*control.Plan, error) {
	if err := checkManaged(name, opts); err != nil {
		return nil, err
	}
	p, err := s.managed(ctx, m, "start instance "+name, name)
	if err != nil {
		return nil, err
	}
	if p.node.Offline {
		p.plan.Block(p.node.Name, "node-offline", "gnt-instance failover "+name, "is offline")
		return p.plan, nil
	}
	access, err := s.accessStep(p.plan, p.site, p.node, opts.Access, p.request)
	if err != nil {
		return nil, err
	}
	p.request.Start = true
	l, err := s.lookAt(ctx, p.node, p.request)
	if err != nil {
		return nil, err
	}
	if l.Guest != nil {
		runsAlready(p.plan, p.request, l, access, result)
		return p.plan, nil
	}
	for d := range l.Disks {
		p.checkDisk(d, &l.Disks[d], opts)
	}
	if len(p.plan.Blockers) > 0 {
		return p.plan, nil
	}
	if access != nil {
		p.plan.Steps = append(p.plan.Steps, *access)
	}
	p.plan.Steps = append(p.plan.Steps, s.managedStart(p, m.StartJob(name), result))
	return p.plan, nil
}

// checkManaged returns an error for what only instances of cephctl's own can be started with.
func checkManaged(name string, opts StartOptions) error {
	var instead string
	switch {
	case opts.Node != "":
		instead = "--node: gnt-instance failover -n " + opts.Node + " " + name
	case opts.Map:
		instead = "--map: gnt-instance activate-disks " + name
	case opts.BreakClaim:
		instead = "--break-claim: instances of Ganeti claim no images"
	default:
		return nil
	}
	return fmt.Errorf("%w: Ganeti does that: %s", control.ErrUsage, instead)
}

// managedPlan is the plan of a change of an instance that the inventory manages.
type managedPlan struct {
	plan    *control.Plan
	site    *site
	node    control.Node
	request *guest.Request
}

func (s *Instances) managed(ctx context.Context, m control.InstanceManager, title, name string) (*managedPlan, error) {
	p := &managedPlan{plan: &control.Plan{Title: title}}
	c, i, n, err := s.load(ctx, name, "")
	if err != nil {
		return nil, err
	}
	if i, err = m.Images(ctx, i); err != nil {
		return nil, err
	}
	p.site, p.node = c, n
	p.request, err = s.request(c, i, false)
	return p, err
}

// checkDisk adds what an image and those who have it open say against a start.
func (p *managedPlan) checkDisk(d int, found *guest.DiskLook, opts StartOptions) {
	spec := &p.request.Disks[d]
	checkRisk(p.plan, p.node, spec.Index, found, opts.AllowLoopback, nil, nil)
	others := found.Strangers()
	switch {
	case found.Problem != nil:
		p.plan.Blockers = append(p.plan.Blockers, *found.Problem)
	case !found.Exists:
		noImage(p.plan, p.node, p.request, spec.Index, spec.Image)
	case len(others) > 0:
		imageInUse(p.plan, p.node, spec.Index, spec.Image, others)
	}
}

// managedStart is the step that has an instance started, and looks at it then.
func (s *Instances) managedStart(p *managedPlan, job control.Job, result *kvm.Status) control.Step {
	step := control.Step{ID: "start", Node: p.node.Name, Title: "start instance " + p.request.Instance.Name, Commands: []string{job.Text}}
	for _, d := range p.request.Disks {
		step.Commands = append(step.Commands, fmt.Sprintf("QMP and watchers: is disk %d, %s, open through %s?", d.Index, d.Image, driverText(d.Params[paramAccess])))
	}
	step.Do = func(ctx context.Context, _ func(string)) error {
		if err := job.Do(ctx); err != nil {
			return err
		}
		r := *p.request
		r.Start = false
		l, err := s.lookAt(ctx, p.node, &r)
		if err != nil {
			return fmt.Errorf("it was started, and could not be looked at: %w", err)
		}
		if l.Guest != nil {
			*result = *l.Guest
		}
		return verify(&r, l)
	}
	return step
}

// errNoGuest is in the error when Ganeti says that it has started an instance, and there is no process of it.
var errNoGuest = errors.New("by Ganeti it has started, and no process runs it: see the log of the node daemon")

// verify returns what is not as it is to be with a guest that was started.
func verify(r *guest.Request, l *guest.Look) error {
	if l.Guest == nil {
		return errNoGuest
	}
	if l.Problem != "" {
		return fmt.Errorf("it runs, and QEMU does not tell what it has open: %s", l.Problem)
	}
	var wrong []error
	for n := range l.Disks {
		if text := notOpen(r.Disks[n], &l.Disks[n]); text != "" {
			wrong = append(wrong, fmt.Errorf("it runs, and disk %d is not as it should be: %s", r.Disks[n].Index, text))
		}
	}
	return errors.Join(wrong...)
}

// notOpen says in what a disk of a guest that runs is not open as it is to be, or nothing.
func notOpen(d control.DiskSpec, l *guest.DiskLook) string {
	userspace := d.Params[paramAccess] == accessUserspace
	clients := l.Watchers
	if userspace {
		clients = l.Strangers()
	}
	switch {
	case l.Driver == "":
		return "QEMU has no such disk"
	case userspace == slices.Contains(blockDevices, l.Driver):
		return "QEMU has it open through " + l.Driver + " and not through " + driverText(d.Params[paramAccess])
	case l.Problem != nil:
		return l.Problem.Text
	case len(clients) == 0:
		return "no client of the cluster has image " + d.Image + " open"
	}
	return ""
}

// driverText says through what QEMU has a disk open.
func driverText(access string) string {
	if access == accessUserspace {
		return "librbd"
	}
	return "the kernel's block device"
}

// planManagedStop plans to have an instance stopped by who manages it.
func (s *Instances) planManagedStop(ctx context.Context, m control.InstanceManager, name string, opts StopOptions, result *guest.Stopped) (*control.Plan, error) {
	if opts.Node != "" {
		return nil, fmt.Errorf("%w: --node: an instance of Ganeti has one node: gnt-instance shutdown %s", control.ErrUsage, name)
	}
	p, err := s.managed(ctx, m, "stop instance "+name, name)
	if err != nil {
		return nil, err
	}
	l, err := s.lookAt(ctx, p.node, p.request)
	if err != nil {
		return nil, err
	}
	if l.Guest == nil && stoppedBy(p.request.Instance.Status) {
		p.plan.Note("instance %s does not run", name)
		return p.plan, nil
	}
	job := m.StopJob(name, opts.Timeout)
	p.plan.Steps = []control.Step{{
		ID: "stop", Node: p.node.Name, Title: "stop instance " + name, Commands: []string{job.Text},
		Do: func(ctx context.Context, _ func(string)) error {
			if err := job.Do(ctx); err != nil {
				return err
			}
			l, err := s.lookAt(ctx, p.node, p.request)
			if err != nil {
				return fmt.Errorf("it was stopped, and could not be looked at: %w", err)
			}
			if l.Guest != nil {
				return fmt.Errorf("by Ganeti it has stopped, and process %d still runs it", l.Guest.PID)
			}
			result.How, result.Left = "by Ganeti", stillOpen(p.request, l)
			return nil
		},
	}}
	return p.plan, nil
}

// stillOpen says which images of an instance that was stopped some client still has open.
func stillOpen(r *guest.Request, l *guest.Look) []string {
	var left []string
	for n := range l.Disks {
		if watchers := l.Disks[n].Watchers; len(watchers) > 0 {
			left = append(left, fmt.Sprintf("image %s, which client %s has open", r.Disks[n].Image, strings.Join(watchers, ", ")))
		}
	}
	return left
}
