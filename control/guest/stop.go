package guest

import (
	"context"
	"fmt"
	"slices"

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
	for _, err := range h.giveBackAll(ctx, r) { // the guest is stopped all the same, and a later start proves that it is
		stopped.Left = append(stopped.Left, err.Error())
	}
	return stopped, nil
}

// giveBackAll gives all disks back, and returns what has kept it from that.
func (h Handler) giveBackAll(ctx context.Context, r *Request) []error {
	errs := make([]error, len(r.Disks))
	r.eachDisk(func(i int, d control.DiskSpec) {
		if err := h.giveBack(ctx, r, d); err != nil {
			errs[i] = fmt.Errorf("disk %d: %w", d.Index, err)
		}
	})
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// giveBack unmaps a disk and releases the claim that the instance has on it from this host.
func (h Handler) giveBack(ctx context.Context, r *Request, d control.DiskSpec) error {
	host, err := h.disk(d)
	if err != nil {
		return err
	}
	if err := host.Close(ctx, d); err != nil {
		return h.keepDevice(ctx, r, host, d, err)
	}
	state, err := host.Look(ctx, d)
	if err != nil || state.Claim == nil || state.Claim.UUID != r.Instance.UUID {
		return err
	}
	dead, err := h.isDead(r, state.Claim, state)
	if err != nil || !dead {
		return err
	}
	return host.Release(ctx, d, state.Claim.Token)
}

// keepDevice returns why a disk could not be closed, and makes the claim of its guest, which has ended, one for the block device
// that stays: the guest is proven dead by anybody, and whoever has the device open writes all the same.
func (h Handler) keepDevice(ctx context.Context, r *Request, host control.DiskHost, d control.DiskSpec, why error) error {
	if err := h.claimForDevice(ctx, r, host, d); err != nil {
		return fmt.Errorf("%w; and that its block device stays could not be noted: %w", why, err)
	}
	return why
}

func (h Handler) claimForDevice(ctx context.Context, r *Request, host control.DiskHost, d control.DiskSpec) error {
	lives, err := h.qemu(r).Lives(r.Instance.UUID)
	if err != nil || lives {
		return err
	}
	state, err := host.Look(ctx, d)
	if err != nil || state.Mapped == "" || state.Foreign || state.Claim == nil || state.Claim.Devices {
		return err
	}
	if held, err := h.holds(r, state.Claim); err != nil || !held {
		return err
	}
	me, err := h.me(r)
	if err != nil {
		return err
	}
	me.Devices = true
	// Between both claims the device itself, which has the image open, keeps others from theirs.
	if err := host.Release(ctx, d, state.Claim.Token); err != nil {
		return err
	}
	if err := host.Claim(ctx, d, me); err != nil {
		return err
	}
	return host.Opened(ctx, d, []string{state.MappedBy})
}
