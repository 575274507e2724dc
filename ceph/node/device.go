package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inspect says what is on a block device. A device may hang, so it is left alone when ctx ends.
func (h *Host) inspect(ctx context.Context, path string) (DeviceFacts, error) {
	return bounded(ctx, "look at "+path, func() (DeviceFacts, error) {
		return h.inspectDevice(ctx, path)
	})
}

// bounded returns when ctx ends, even if the call does not.
func bounded[T any](ctx context.Context, what string, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := call()
		answers <- answer{value: value, err: err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%s: %w", what, ctx.Err())
	}
}

func (h *Host) inspectDevice(ctx context.Context, path string) (DeviceFacts, error) {
	facts := DeviceFacts{Path: path, Stable: path}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return facts, nil
	}
	if err != nil {
		return facts, fmt.Errorf("resolve path: %w", err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return facts, fmt.Errorf("look at device: %w", err)
	}
	facts.Exists = true
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode()&fs.ModeDevice == 0 || info.Mode()&fs.ModeCharDevice != 0 {
		facts.Content = "no block device"
		return facts, nil
	}
	facts.Stable = stableName(path, real)
	number := fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	err = h.fillContent(ctx, &facts, real, number)
	facts.Pristine = err == nil && facts.Content == ""
	return facts, err
}

// fillContent says the size and what is on the device: the first thing that is found.
func (h *Host) fillContent(ctx context.Context, facts *DeviceFacts, real, number string) error {
	file, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open device: %w", err)
	}
	defer file.Close()
	if facts.SizeBytes, err = file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("read size: %w", err)
	}
	if facts.SizeBytes == 0 {
		facts.Content = "a drive without a disk: its size is 0"
		return nil
	}
	found, err := findLabel(file, facts.SizeBytes)
	switch {
	case err == nil:
		osd := found.osd()
		facts.OSD = &osd
		facts.Content = osd.describe()
		return nil
	case !errors.Is(err, errNoLabel):
		facts.Content = "what can't be read: " + err.Error()
		return nil
	}
	return h.fillForeign(ctx, facts, real, number)
}

// fillForeign says what is on a device that has no label.
func (h *Host) fillForeign(ctx context.Context, facts *DeviceFacts, real, number string) error {
	signatures, err := h.signatures(ctx, real)
	if err != nil {
		return err
	}
	if slices.Contains(signatures, describeSignature(lvmMember)) {
		// For the kernel, it is used by its volumes.
		if err := h.fillVolumes(ctx, facts, real); err != nil || facts.Content != "" {
			return err
		}
	}
	if facts.Content, err = inUse(real, number); err != nil || facts.Content != "" {
		return err
	}
	if facts.Content = strings.Join(signatures, ", "); facts.Content == "" {
		facts.Content = openedByOthers(real)
	}
	return nil
}

// findLabel returns the first label, or the first copy of one.
func findLabel(file io.ReaderAt, size int64) (label, error) {
	for _, at := range labelPositions() {
		if at >= size {
			break
		}
		if found, err := readLabelAt(file, at); !errors.Is(err, errNoLabel) {
			return found, err
		}
	}
	return label{}, errNoLabel
}

func (o DeviceOSD) describe() string {
	name := "an OSD"
	if o.ID >= 0 {
		name = fmt.Sprintf("osd.%d", o.ID)
	}
	if o.FSID != "" {
		name += " of cluster " + o.FSID
	}
	if !o.Complete {
		name += ", half made"
	}
	return name
}

// openedByOthers tries to open the device alone, as the kernel lets nobody do when a file system, LVM, RAID or another
// program has it.
func openedByOthers(real string) string {
	file, err := os.OpenFile(real, os.O_RDONLY|syscall.O_EXCL|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "in use: " + err.Error()
	}
	file.Close()
	return ""
}

// inspectFile says what is at the path of an OSD that is to be in a file.
func inspectFile(path string) (DeviceFacts, error) {
	facts := DeviceFacts{Path: path, Stable: path}
	if !isDir(filepath.Dir(path)) {
		return facts, nil
	}
	facts.Exists = true
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		facts.Pristine = true
		return facts, nil
	}
	if err != nil {
		return facts, fmt.Errorf("look at file: %w", err)
	}
	facts.SizeBytes = info.Size()
	if isUnwritten(info) {
		facts.Pristine = true
		return facts, nil
	}
	facts.Content = "a file that exists"
	if !info.Mode().IsRegular() {
		facts.Content = "no plain file"
		return facts, nil
	}
	if found, err := readLabel(path); err == nil {
		osd := found.osd()
		facts.OSD, facts.Content = &osd, osd.describe()
	}
	return facts, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
