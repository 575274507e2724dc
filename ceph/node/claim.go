package node

import (
	"context"
	"errors"
	"fmt"
)

// claim makes sure that a device may be used for an OSD: nothing is on it, or a mkfs of this very OSD that was broken
// off.
type claim struct {
	device string
	osd    OSD
	fsid   string
}

func (c claim) lines() []string {
	return []string{fmt.Sprintf("check that nothing is on %s", c.device)}
}

func (c claim) do(ctx context.Context, h *Host) error {
	found, err := readLabel(c.device)
	switch {
	case err == nil:
		if err := c.osd.owns(c.device, found, c.fsid); err != nil {
			return err
		}
		// The mkfs may still be at it, and takes its time on a slow disk.
		if err := h.overwriteLabels(ctx, c.device, forever); err != nil {
			return fmt.Errorf("wipe what a broken off mkfs left on %s: %w", c.device, err)
		}
	case !errors.Is(err, errNoLabel):
		return fmt.Errorf("look at %s: %w", c.device, err)
	}
	facts, err := h.inspect(ctx, c.device)
	if err != nil {
		return err
	}
	if !facts.Pristine {
		return fmt.Errorf("%s is not empty: %s", c.device, facts.Content)
	}
	return nil
}
