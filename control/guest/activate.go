package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// activate maps the disks as block devices, and returns their paths. Those that were mapped before one that can't be are
// unmapped again.
func (h Handler) activate(ctx context.Context, r *Request) ([]string, error) {
	devices := []string{}
	made := *r
	made.Disks = nil
	for _, d := range r.Disks {
		d.Map = true
		device, isNew, err := h.activateDisk(ctx, r, d)
		if isNew {
			made.Disks = append(made.Disks, d)
		}
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
			defer cancel()
			return nil, withUndo(err, errors.Join(h.giveBackAll(ctx, &made)...))
		}
		devices = append(devices, device)
	}
	return devices, nil
}

// activateDisk maps a disk, and tells whether there may be a block device now that was not there before. Where the instance
// runs here, it is one more client of its; else the image is claimed as long as there is the device.
func (h Handler) activateDisk(ctx context.Context, r *Request, d control.DiskSpec) (device string, isNew bool, err error) {
	host, err := h.disk(d)
	if err != nil {
		return "", false, err
	}
	if err := host.Check(ctx, d); err != nil {
		return "", false, fmt.Errorf("disk %d: %w", d.Index, err)
	}
	state, err := host.Look(ctx, d)
	if err != nil {
		return "", false, err
	}
	held, err := h.holds(r, state.Claim)
	if err != nil {
		return "", false, err
	}
	lives, err := h.qemu(r).Lives(r.Instance.UUID)
	switch {
	case err != nil:
		return "", false, err
	case held && (lives || state.Claim.Devices) && state.Mapped != "" && !state.Foreign && !state.Fenced():
		return state.Mapped, false, nil
	case lives && !held:
		return "", false, fmt.Errorf("disk %d: the guest that runs here has lost image %s, as its claim was taken away: cephctl instance stop --timeout 0s %s", d.Index, d.Image, r.Instance.Name)
	case !lives:
		err = h.claimDevice(ctx, r, d)
	}
	if err != nil {
		return "", false, err
	}
	if device, err = h.openDevice(ctx, host, d); err != nil {
		err = fmt.Errorf("disk %d: %w", d.Index, err)
	}
	return device, !lives || state.Mapped == "", err
}

// holds tells whether a claim is of the instance on this host.
func (h Handler) holds(r *Request, c *control.Claim) (bool, error) {
	if c == nil || c.UUID != r.Instance.UUID {
		return false, nil
	}
	return h.wasHere(c)
}

// claimDevice claims an image for the block device alone.
func (h Handler) claimDevice(ctx context.Context, r *Request, d control.DiskSpec) error {
	me, err := h.me(r)
	if err != nil {
		return err
	}
	me.Devices = true
	return h.claim(ctx, r, d, me)
}

// openDevice maps a disk, and remembers the client behind the block device with those of the claim. Whoever else has the image
// open is none of its.
func (h Handler) openDevice(ctx context.Context, host control.DiskHost, d control.DiskSpec) (string, error) {
	open, err := host.Open(ctx, d)
	if err != nil {
		return "", err
	}
	_, own, err := host.Watchers(ctx, d)
	if err != nil {
		return "", err
	}
	if own == "" { // a kernel before 4.10 does not say
		return open.Mapped, h.rememberDisk(ctx, host, d)
	}
	return open.Mapped, host.Opened(ctx, d, []string{own})
}

// deactivate takes the block devices away, and gives back the claims on what they were for.
func (h Handler) deactivate(ctx context.Context, r *Request) error {
	if _, runs, err := r.dir().Guest(h.path("proc"), r.Instance.Name); err != nil || runs {
		if err == nil {
			err = fmt.Errorf("%s is running, and may use them: stop it first", r.Instance.Name)
		}
		return err
	}
	return errors.Join(h.giveBackAll(ctx, r)...)
}
