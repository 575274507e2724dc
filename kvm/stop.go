package kvm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How a guest was stopped.
const (
	// StopNone: it did not run.
	StopNone = "was not running"
	// StopPowerdown: it has shut itself down when asked.
	StopPowerdown = "shut down"
	// StopQuit: it has not, and QEMU ended when asked.
	StopQuit = "quit"
	// StopKill: QEMU has not either, and was killed.
	StopKill = "killed"
)

// quitTimeout is what QEMU has to end when asked: it writes its caches to the cluster.
const quitTimeout = 15 * time.Second

// The commands that end a guest.
var (
	powerDown = query("system_powerdown")
	quit      = query("quit")
)

// Stop stops a guest: by ACPI, then, when it has not ended within the timeout, by asking QEMU to quit, then by killing
// QEMU. It returns how, when nothing is left of the guest. A timeout of 0 asks QEMU at once.
func (h *Host) Stop(ctx context.Context, instance string, timeout time.Duration, progress func(string)) (how string, err error) {
	g, running, err := h.Dir.Guest(h.Procfs, instance)
	switch {
	case err != nil:
		return "", err
	case !running:
		return StopNone, h.undo(ctx, instance) // a QEMU without a pid file is none that anybody knows of
	}
	how = StopPowerdown
	ended := timeout > 0 && h.request(ctx, g, powerDown, timeout, progress)
	if !ended {
		how = StopQuit
		ended = h.request(ctx, g, quit, quitTimeout, progress)
	}
	if err := ctx.Err(); err != nil && !ended {
		return "", fmt.Errorf("stop %s: %w", instance, context.Cause(ctx))
	}
	if !ended {
		how = StopKill
		progress("QEMU has not ended in time: killing it")
		ctx, cancel := context.WithTimeout(ctx, killTimeout)
		defer cancel()
		if err := h.kill(ctx, g.Process); err != nil {
			return "", err
		}
	}
	return how, h.removeFiles(instance)
}

// request asks a guest to end and tells whether it has within the timeout.
func (h *Host) request(ctx context.Context, g Guest, how Query, timeout time.Duration, progress func(string)) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// QEMU may be gone before it has answered.
	if _, _, err := h.ask(ctx, g.Instance, how); err != nil && h.lives(g.Process) && !errors.Is(err, ErrAnswer) {
		progress(fmt.Sprintf("%s: %v", how, err))
	}
	for h.lives(g.Process) {
		if sleep(ctx, monitorPoll) != nil {
			return false
		}
	}
	return true
}
