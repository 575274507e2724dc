package guest

import (
	"context"
	"fmt"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// stop stops the guest, takes its block devices away and gives back its claims.
func (h Handler) stop(ctx context.Context, r *Request, progress func(string)) (*Stopped, error) {
	how, err := h.qemu(r).Stop(ctx, r.Instance.Name, r.Timeout, progress)
	if err != nil {
		return nil, err
	}
	stopped := &Stopped{How: how}
	if how != kvm.StopNone {
		progress("the guest has ended: " + how)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for _, d := range r.Disks {
		// The guest is stopped all the same, and a later start proves that it is.
		if err := h.giveBack(ctx, r, d); err != nil {
			stopped.Left = append(stopped.Left, fmt.Sprintf("disk %d: %v", d.Index, err))
		}
	}
	return stopped, nil
}

// giveBack unmaps a disk and releases the claim that the instance has on it from this host.
func (h Handler) giveBack(ctx context.Context, r *Request, d control.DiskSpec) error {
	host, err := h.disk(d)
	if err != nil {
		return err
	}
	if err := host.Close(ctx, d); err != nil {
		return err
	}
	state, err := host.Look(ctx, d)
	if err != nil || state.Claim == nil || state.Claim.UUID != r.Instance.UUID {
		return err
	}
	dead, err := h.isDead(r, state.Claim)
	if err != nil || !dead {
		return err
	}
	return host.Release(ctx, d, state.Claim.Token)
}

// activate maps the disks as block devices, and returns their paths.
func (h Handler) activate(ctx context.Context, r *Request) ([]string, error) {
	devices := []string{}
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err != nil {
			return nil, err
		}
		d.Map = true
		if err := host.Check(ctx, d); err != nil {
			return nil, err
		}
		open, err := host.Open(ctx, d)
		if err != nil {
			return nil, fmt.Errorf("disk %d: %w", d.Index, err)
		}
		devices = append(devices, open.Mapped)
	}
	return devices, nil
}

func (h Handler) deactivate(ctx context.Context, r *Request) error {
	if _, runs, err := r.dir().Guest(h.path("proc"), r.Instance.Name); err != nil || runs {
		if err == nil {
			err = fmt.Errorf("%s is running, and may use them: stop it first", r.Instance.Name)
		}
		return err
	}
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err == nil {
			err = host.Close(ctx, d)
		}
		if err != nil {
			return fmt.Errorf("disk %d: %w", d.Index, err)
		}
	}
	return nil
}
