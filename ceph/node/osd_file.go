package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// createFileDevice makes the file that is an OSD's device. One that is there is an error, unless it is this OSD's.
type createFileDevice struct {
	osd  OSD
	fsid string
}

func (c createFileDevice) lines() []string {
	return []string{
		fmt.Sprintf("check that %s does not exist", c.osd.Device),
		quote([]string{"truncate", "-s", strconv.FormatInt(c.osd.SizeBytes, 10), c.osd.Device}),
	}
}

func (c createFileDevice) do(_ context.Context, h *Host) error {
	if err := c.clear(); err != nil {
		return err
	}
	uid, gid, err := h.ids(cephUser)
	if err != nil {
		return err
	}
	if err := createFile(c.osd.Device, nil, 0o600, uid, gid); err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	if err := os.Truncate(c.osd.Device, c.osd.SizeBytes); err != nil {
		return fmt.Errorf("size file: %w", err)
	}
	return nil
}

// clear takes away what a broken off attempt has left.
func (c createFileDevice) clear() error {
	info, err := os.Lstat(c.osd.Device)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for file: %w", err)
	}
	if !isUnwritten(info) {
		found, err := readLabel(c.osd.Device)
		if err != nil {
			return fmt.Errorf("%s exists already, and is not %s", c.osd.Device, c.osd.daemon())
		}
		if err := c.osd.owns(c.osd.Device, found, c.fsid); err != nil {
			return err
		}
	}
	if err := os.Remove(c.osd.Device); err != nil {
		return fmt.Errorf("remove broken off OSD: %w", err)
	}
	return nil
}

// isUnwritten tells of a file that nothing was ever written to.
func isUnwritten(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && stat.Blocks == 0
}

// fillFromFile makes the data folder from the label. The link comes last: with it, all is there.
func fillFromFile(l layout, osd OSD) stage {
	data := l.data(osd.daemon())
	block := filepath.Join(data, "block")
	return stage{
		title:   "fill " + data,
		already: isFilled(l, osd),
		operations: []operation{
			makeDir{path: data, mode: 0o750, owner: cephUser},
			remove{path: block, file: true},
			run("ceph-bluestore-tool", "prime-osd-dir", "--no-mon-config", "--dev", osd.Device, "--path", data),
			run("chown", "-R", "ceph:ceph", data),
			link{target: osd.Device, path: block},
		},
	}
}
