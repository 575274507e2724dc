package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// wipeLength is how much is overwritten wherever a label can be.
const wipeLength = 1 << 20

// wipe overwrites the labels of a device, if they are this OSD's.
type wipe struct {
	device string
	osd    OSD
	fsid   string
}

func (w wipe) lines() []string {
	return []string{
		fmt.Sprintf("check that %s is of %s (%s), and overwrite its labels", w.device, w.osd.daemon(), w.osd.UUID),
		quote([]string{"wipefs", "-a", w.device}),
	}
}

func (w wipe) do(ctx context.Context, h *Host) error {
	found, err := readLabel(w.device)
	switch {
	case errors.Is(err, errNoLabel) || errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := w.osd.owns(w.device, found, w.fsid); err != nil {
		return err
	}
	if err := h.overwriteLabels(ctx, w.device, attempts); err != nil {
		return fmt.Errorf("wipe %s: %w", w.device, err)
	}
	_, err = h.run(ctx, "wipefs", "-a", w.device)
	return err
}

// owns returns an error when a label names another OSD, or another cluster.
func (o OSD) owns(device string, found label, fsid string) error {
	on := found.osd()
	if !sameID(on.UUID, o.UUID) {
		return fmt.Errorf("%s holds another OSD: osd.%d, uuid %s, of cluster %s", device, on.ID, on.UUID, on.FSID)
	}
	if on.FSID != "" && !sameID(on.FSID, fsid) {
		return fmt.Errorf("%s holds an OSD of another cluster: %s", device, on.FSID)
	}
	if on.ID >= 0 && on.ID != o.ID {
		return fmt.Errorf("%s holds osd.%d, not osd.%d", device, on.ID, o.ID)
	}
	return nil
}

// overwriteLabels writes zeros wherever BlueStore, a partition table or a RAID would keep a label: first where copies
// are and the beginning last, so that a device that was left in the middle of it still says whose it is.
func (h *Host) overwriteLabels(ctx context.Context, path string, patience int) (err error) {
	file, err := h.openAlone(ctx, path, patience)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	zeros := make([]byte, wipeLength)
	for _, at := range wipePositions(size) {
		if _, err := file.WriteAt(zeros[:min(wipeLength, size-at)], at); err != nil {
			return err
		}
	}
	return file.Sync()
}

// openAlone opens a device that nobody else uses, and tries that so often at most. Udev and a mkfs of a run that was
// killed go away by themselves, an OSD that runs does not.
func (h *Host) openAlone(ctx context.Context, path string, patience int) (*os.File, error) {
	for attempt := 1; ; attempt++ {
		file, err := tryOpenAlone(path)
		if err == nil {
			return file, nil
		}
		if attempt == patience || !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EAGAIN) {
			return nil, err
		}
		if err := h.sleep(ctx); err != nil {
			return nil, err
		}
	}
}

// tryOpenAlone takes all the locks that Ceph takes: release 16 one of fcntl, later ones that of flock.
func tryOpenAlone(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_EXCL, 0)
	if err != nil {
		return nil, err
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	err = errors.Join(
		unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB),
		unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole),
	)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

func wipePositions(size int64) []int64 {
	positions := []int64{max(0, size-wipeLength)}
	copies := labelPositions()
	for i := len(copies) - 1; i >= 0; i-- {
		if copies[i] < size {
			positions = append(positions, copies[i])
		}
	}
	return positions
}
