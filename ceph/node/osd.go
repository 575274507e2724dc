package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// osdStages makes an OSD, has its data folder filled from its device's label, and starts it.
func osdStages(l layout, fsid string, osd OSD) []stage {
	var stages []stage
	switch osd.Backend {
	case BackendLVM:
		stages = append(stages, volumeStages(fsid, osd)...)
		stages = append(stages, mkfsStage(l, fsid, osd, claim{device: osd.block(), osd: osd, fsid: fsid}))
		return append(stages, activateVolume(l, osd), startStage(l, osd.daemon(), fsid, activated))
	case BackendRaw:
		stages = append(stages, mkfsStage(l, fsid, osd, claim{device: osd.Device, osd: osd, fsid: fsid}))
		stages = append(stages, activateRaw(l, osd)...)
	case BackendFile:
		stages = append(stages, mkfsStage(l, fsid, osd, createFileDevice{osd: osd, fsid: fsid}))
		stages = append(stages, fillFromFile(l, osd))
	}
	return append(stages, startStage(l, osd.daemon(), fsid, enabled))
}

// mkfsStage makes the OSD on its device. The data folder of mkfs is one to throw away: all that is in it is in the
// device's label as well, the key included.
func mkfsStage(l layout, fsid string, osd OSD, prepare operation) stage {
	scratch := l.scratch(osd.daemon())
	return stage{
		title:   "make " + osd.daemon().String() + " on " + osd.Device,
		already: osdIsMade(fsid, osd),
		operations: []operation{
			checkData{path: l.data(osd.daemon()), fsid: fsid},
			prepare,
			remove{path: scratch},
			makeDir{path: scratch, mode: 0o700, owner: cephUser},
			link{target: osd.block(), path: filepath.Join(scratch, "block")},
			give{path: osd.block()},
			command{
				// The mons are not asked: they may not be reachable from here yet, and all it needs is given. Without
				// -f it would be a child of what is run, and go on when that is killed.
				argv: []string{
					"ceph-osd", "-f", "--cluster", "ceph", "--mkfs", "-i", osd.id(), "--fsid", fsid,
					"--osd-objectstore", "bluestore", "--osd-uuid", osd.UUID, "--osd-data", scratch,
					"--keyfile", "-", "--no-mon-config", "--setuser", cephUser, "--setgroup", cephUser,
				},
				stdin: []byte(osd.Secret), input: "the key of " + osd.daemon().String(), again: isBusy,
			},
		},
		finally: []operation{remove{path: scratch}},
	}
}

// isBusy tells of a device that udev, or a mkfs of a run that was killed, has locked for a moment. The thread that
// writes the log of ceph-osd does not always get to the reason, "** ERROR: … (11) Resource temporarily unavailable",
// before the process exits: a mkfs that fails without a reason is tried again as well.
func isBusy(err error) bool {
	var ended interface{ ExitCode() int }
	if !errors.As(err, &ended) {
		return false
	}
	said := err.Error()
	return ended.ExitCode() == int(syscall.EWOULDBLOCK) ||
		strings.Contains(said, "(11) Resource temporarily unavailable") ||
		ended.ExitCode() == 1 && !strings.Contains(said, "** ERROR: ")
}

// osdIsMade tells whether the device holds this OSD, made to the end.
func osdIsMade(fsid string, osd OSD) func(context.Context, *Host) (bool, error) {
	return func(context.Context, *Host) (bool, error) {
		found, err := readLabel(osd.block())
		switch {
		case errors.Is(err, errNoLabel) || errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, err
		}
		if err := osd.owns(osd.block(), found, fsid); err != nil {
			return false, err
		}
		return found.osd().Complete, nil
	}
}

// isFilled tells whether an OSD's data folder is ready for the daemon.
func isFilled(l layout, osd OSD) func(context.Context, *Host) (bool, error) {
	return func(_ context.Context, h *Host) (bool, error) {
		uid, _, err := h.ids(cephUser)
		if err != nil {
			return false, err
		}
		data := l.data(osd.daemon())
		return sameID(readWord(data, "fsid"), osd.UUID) && filled(data, uid), nil
	}
}

// filled tells whether all is there, the device included, and belongs to Ceph.
func filled(data string, uid int) bool {
	if _, err := os.Stat(filepath.Join(data, "block")); err != nil || readWord(data, "ready") != "ready" {
		return false
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return false
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != uid {
			return false
		}
	}
	return true
}

// readWord reads a small file of a data folder, or nothing.
func readWord(data, name string) string {
	content, err := os.ReadFile(filepath.Join(data, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
