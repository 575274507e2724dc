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

// activateDisk maps a disk, and tells whether it has claimed it for that. Where the instance runs here, the block device is
// one more client of its; else it is claimed as long as there is the device.
func (h Handler) activateDisk(ctx context.Context, r *Request, d control.DiskSpec) (device string, isNew bool, err error) {
	host, err := h.disk(d)
	if err != nil {
		return "", false, err
	}
	if err := host.Check(ctx, d); err != nil {
		return "", false, fmt.Errorf("disk %d: %w", d.Index, err)
	}
	state, err := host.Look(ctx, d)
	if err != nil || state.Mapped != "" {
		return state.Mapped, false, err
	}
	lives, err := h.qemu(r).Lives(r.Instance.UUID)
	if err != nil {
		return "", false, err
	}
	if !lives {
		me, err := h.me(r)
		if err != nil {
			return "", false, err
		}
		me.Devices = true
		if err := h.claim(ctx, r, d, me); err != nil {
			return "", false, err
		}
	}
	open, err := host.Open(ctx, d)
	if err == nil {
		err = h.rememberDisk(ctx, host, d)
	}
	if err != nil {
		err = fmt.Errorf("disk %d: %w", d.Index, err)
	}
	return open.Mapped, !lives, err
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
