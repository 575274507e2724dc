package guest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// undoTimeout is what there is to undo a start that has failed.
const undoTimeout = 3 * time.Minute

// start claims and opens the disks, starts QEMU and remembers its clients. What fails is undone as a whole.
func (h Handler) start(ctx context.Context, r *Request, progress func(string)) (*kvm.Status, error) {
	lacks := blockerErrors(h.lacks(ctx, r))
	for _, d := range r.Disks {
		if err := h.checkDisk(ctx, d); err != nil {
			lacks = append(lacks, fmt.Errorf("disk %d: %w", d.Index, err))
		}
	}
	if err := errors.Join(lacks...); err != nil {
		return nil, err
	}
	me, err := h.me(r)
	if err != nil {
		return nil, err
	}
	s := &starting{Handler: h, r: r, me: me, mapped: map[int]bool{}}
	status, err := s.start(ctx, progress)
	if err == nil {
		return status, nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	return nil, withUndo(err, s.undo(undo))
}

// starting is a start under way, and what is to be undone of it.
type starting struct {
	Handler
	r       *Request
	me      control.Claim
	claimed []control.DiskSpec
	// mapped are the indexes of those that may be mapped as block devices.
	mapped map[int]bool
	runs   bool
}

func (s *starting) start(ctx context.Context, progress func(string)) (*kvm.Status, error) {
	config := s.r.config()
	progress("claiming the disks")
	for _, d := range s.r.Disks {
		if err := s.vacate(ctx, d); err != nil {
			return nil, fmt.Errorf("disk %d: %w", d.Index, err)
		}
		if err := s.claim(ctx, s.r, d, s.me); err != nil {
			return nil, err
		}
		s.claimed = append(s.claimed, d)
		host, err := s.disk(d)
		if err != nil {
			return nil, err
		}
		open, err := host.Open(ctx, d)
		if open.Mapped != "" || err != nil { // which may have mapped it all the same
			s.mapped[d.Index] = true
		}
		if err != nil {
			return nil, fmt.Errorf("disk %d: %w", d.Index, err)
		}
		config.Drives = append(config.Drives, drive(d, open))
	}
	progress("starting QEMU")
	status, err := s.qemu(s.r).Start(ctx, &config)
	if err != nil {
		return nil, s.redacted(err)
	}
	s.runs = true
	return status, s.remember(ctx, s.r)
}

// vacate takes a block device of a disk away that is there without its guest: who still has it open would be a second writer, and
// the kernel tells of that one only when it is to go. A claim of somebody who lives is told of by who claims.
func (s *starting) vacate(ctx context.Context, d control.DiskSpec) error {
	host, err := s.disk(d)
	if err != nil {
		return err
	}
	if _, own, err := host.Watchers(ctx, d); err != nil || own == "" { // the one question where there is none
		return err
	}
	state, err := host.Look(ctx, d)
	if err != nil {
		return err
	}
	if c := state.Claim; c != nil && !slices.Contains(s.r.Dead, c.Token) && !slices.Contains(s.r.Fence, c.Token) {
		if dead, err := s.isDead(s.r, c, state); err != nil || !dead {
			return err
		}
	}
	return host.Close(ctx, d)
}

// redacted returns an error of QEMU's without what its storage may have said that is secret.
func (s *starting) redacted(err error) error {
	text := err.Error()
	for _, host := range s.Disks {
		text = host.Redact(text)
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// remember notes the clients that the guest has now.
func (h Handler) remember(ctx context.Context, r *Request) error {
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err == nil {
			err = h.rememberDisk(ctx, host, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rememberDisk notes the clients that have a disk open: when nobody can ask this node any more, they are who is to be kept
// out. Where there is none, what has opened the image does not reach the cluster.
func (h Handler) rememberDisk(ctx context.Context, host control.DiskHost, d control.DiskSpec) error {
	clients, _, err := host.Watchers(ctx, d)
	if err != nil {
		return err
	}
	if len(clients) == 0 {
		return fmt.Errorf("disk %d: the cluster does not have image %s open for anybody", d.Index, d.Image)
	}
	return host.Opened(ctx, d, clients)
}

func (s *starting) undo(ctx context.Context) error {
	var errs []error
	if s.runs {
		if _, err := s.qemu(s.r).Stop(ctx, s.r.Instance.Name, 0, func(string) {}); err != nil {
			return err // it may still write: the claim has to stay
		}
	}
	if lives, err := s.qemu(s.r).Lives(s.r.Instance.UUID); err != nil || lives {
		return cmp.Or(err, errors.New("QEMU has not ended, and keeps the claims on its disks"))
	}
	for _, d := range s.claimed {
		host, err := s.disk(d)
		if err == nil && s.mapped[d.Index] {
			if err = host.Close(ctx, d); err != nil {
				err = s.keepDevice(ctx, s.r, host, d, err)
			}
		}
		if err == nil {
			err = host.Release(ctx, d, s.me.Token)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// drive returns a disk as QEMU is started with it.
func drive(d control.DiskSpec, open control.OpenDisk) kvm.Drive {
	return kvm.Drive{
		UUID: d.UUID, SizeMiB: d.SizeBytes >> 20, Path: open.Path, Blockdev: open.Blockdev, Driver: open.Driver,
		Cache: open.Cache, Discard: open.Discard, Link: open.Mapped, Origin: open.Origin,
	}
}

// config returns what QEMU is started with, but for the drives.
func (r *Request) config() kvm.Config {
	i := &r.Instance
	c := kvm.Config{Instance: i.Name, UUID: i.UUID, MemoryMiB: i.MemoryBytes >> 20, VCPUs: i.VCPUs, NICs: make([]kvm.NIC, len(i.NICs))}
	for at, n := range i.NICs {
		c.NICs[at] = kvm.NIC{UUID: n.UUID, Mode: n.Mode, MAC: n.MAC, Bridge: n.Bridge}
	}
	return c
}

// blockerErrors makes errors of what stands in the way.
func blockerErrors(blockers []control.Blocker) []error {
	errs := make([]error, len(blockers))
	for i, b := range blockers {
		errs[i] = errors.New(b.String())
	}
	return errs
}
