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
		return err
	}
	state, err := host.Look(ctx, d)
	if err != nil || state.Claim == nil || state.Claim.UUID != r.Instance.UUID {
		return err
	}
	dead, err := h.isDead(ctx, r, state.Claim, d)
	if err != nil || !dead {
		return err
	}
	return host.Release(ctx, d, state.Claim.Token)
}
