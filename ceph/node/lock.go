package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock keeps a second process from changing the host until unlock is called or this process ends. A master that lost
// its connection may start again while the first process is still at it.
func (h *Host) lock(ctx context.Context) (unlock func(), err error) {
	if err := (makeDir{path: h.layout().run(), mode: 0o755, owner: rootUser}).do(ctx, h); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(h.layout().lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := h.flock(ctx, file); err != nil {
		file.Close()
		return nil, fmt.Errorf("wait for another cephctl on this node: %w", err)
	}
	return func() { file.Close() }, nil
}

// flock waits for the lock of an open file.
func (h *Host) flock(ctx context.Context, file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if err := h.sleep(ctx); err != nil {
			return err
		}
	}
}
