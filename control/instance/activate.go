package instance

import (
	"context"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// Activate returns the change that maps the disks of an instance as block devices of its node, for who administers them.
// Devices is filled in with their paths.
func (s *Instances) Activate(name string, opts ActivateOptions, devices *[]string) control.Change {
	return s.changeDevices("activate-disks", name, "map the disks of instance "+name, guest.ActionActivate, opts, devices)
}

// ActivateOptions say how the disks of an instance are mapped.
type ActivateOptions struct {
	// AllowLoopback takes the risk that the node hangs on its own OSDs.
	AllowLoopback bool
}

// Deactivate returns the change that takes these block devices away.
func (s *Instances) Deactivate(name string) control.Change {
	return s.changeDevices("deactivate-disks", name, "unmap the disks of instance "+name, guest.ActionDeactivate, ActivateOptions{}, nil)
}

func (s *Instances) changeDevices(kind, name, title, action string, opts ActivateOptions, devices any) control.Change {
	return control.Change{Kind: kind, Target: name, Free: true, Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
		if _, err := keeper(s.Env, "gnt-instance "+kind+" "+name); err != nil {
			return nil, err
		}
		plan := &control.Plan{Title: title}
		c, i, n, err := s.load(ctx, name, "")
		if err != nil {
			return nil, err
		}
		r, err := s.request(c, i, action == guest.ActionActivate)
		if err != nil {
			return nil, err
		}
		l, err := s.lookAt(ctx, n, r)
		if err != nil {
			return nil, err
		}
		changesDevices(plan, n, r, l, action, opts)
		wanted := slices.ContainsFunc(l.Disks, func(d guest.DiskLook) bool {
			if action == guest.ActionActivate {
				return !isActive(r, l, &d)
			}
			return d.Mapped != ""
		})
		if len(plan.Blockers) > 0 || !wanted {
			return plan, nil
		}
		step := control.Step{ID: kind, Node: n.Name, Title: title}
		for d := range l.Disks {
			step.Commands = append(step.Commands, title+": "+r.Disks[d].Image)
		}
		step.Do = func(ctx context.Context, progress func(string)) error {
			return s.call(ctx, n, action, r, devices, progress)
		}
		plan.Steps = append(plan.Steps, step)
		return plan, nil
	}}
}

// isActive tells whether a disk has a block device that works and that is claimed: by the guest, or for itself.
func isActive(r *guest.Request, l *guest.Look, d *guest.DiskLook) bool {
	return d.Mapped != "" && !d.Fenced() && d.Claim != nil && d.Claim.UUID == r.Instance.UUID && (l.Guest != nil || d.Claim.Devices)
}

// changesDevices adds what stands in the way of a change of block devices.
func changesDevices(plan *control.Plan, n control.Node, r *guest.Request, l *guest.Look, action string, opts ActivateOptions) {
	if l.Guest != nil && action == guest.ActionDeactivate {
		plan.Block(n.Name, "instance-running", "stop it first: cephctl instance stop "+r.Instance.Name, "instance %s runs there", r.Instance.Name)
	}
	for d := range l.Disks {
		found, image := &l.Disks[d], r.Disks[d].Image
		if !isActive(r, l, found) && action == guest.ActionActivate {
			checkRisk(plan, n, d, found, opts.AllowLoopback, nil, nil)
		}
		switch {
		case found.Problem != nil:
			plan.Blockers = append(plan.Blockers, *found.Problem)
		case found.Foreign:
			deviceForeign(plan, n, d, image, found)
		case action == guest.ActionDeactivate:
			if found.InUse {
				deviceInUse(plan, n, d, image, found)
			}
		case !found.Exists:
			noImage(plan, n, r, d, image)
		case found.Claim != nil && !found.Dead && (l.Guest == nil || found.Claim.UUID != r.Instance.UUID):
			plan.Block(n.Name, "image-claimed", "stop it there first", "disk %d: image %s is claimed by %s", d, image, found.Claim)
		}
	}
}

// noImage adds that a disk of an instance has no image.
func noImage(plan *control.Plan, n control.Node, r *guest.Request, d int, image string) {
	plan.Block(n.Name, "disk-no-image", "see \"cephctl instance info "+r.Instance.Name+"\"", "disk %d: there is no image %s", d, image)
}

// imageInUse adds that others have an image open.
func imageInUse(plan *control.Plan, n control.Node, d int, image string, others []string) {
	plan.Block(n.Name, "image-in-use", "end that first", "disk %d: image %s is open elsewhere, by client %s", d, image, strings.Join(others, ", "))
}

// deviceInUse adds that something is made of a block device.
func deviceInUse(plan *control.Plan, n control.Node, d int, image string, found *guest.DiskLook) {
	plan.Block(n.Name, "device-in-use", "see who has it by \"lsblk "+found.Mapped+"\", and unmount it",
		"disk %d: image %s is mapped as %s there, which is in use", d, image, found.Mapped)
}

// deviceForeign adds that somebody else has mapped an image on the node, who may write to it.
func deviceForeign(plan *control.Plan, n control.Node, d int, image string, found *guest.DiskLook) {
	plan.Block(n.Name, "device-foreign", "see who has it by \"lsblk "+found.Mapped+"\", and unmap it there: rbd device unmap "+found.Mapped,
		"disk %d: image %s is mapped as %s there, and not by cephctl", d, image, found.Mapped)
}
