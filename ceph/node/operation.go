package node

import (
	"context"
	"errors"
	"fmt"
)

// operation is one small thing that is done to the host. What is shown and what is done are both made from it, so
// they can't differ.
type operation interface {
	// lines is what a person would type, or a sentence where that is no command. It holds no secrets.
	lines() []string
	do(ctx context.Context, h *Host) error
}

// stage is a group of operations that is done as a whole.
type stage struct {
	title string
	// already tells whether it has been done to the end before; nil when doing it again does no harm.
	already    func(ctx context.Context, h *Host) (bool, error)
	operations []operation
	// finally is done in any case: it takes away what must not stay.
	finally []operation
}

// carryOut does the stages that are not done yet.
func (h *Host) carryOut(ctx context.Context, stages []stage, progress func(string)) error {
	for _, s := range stages {
		if err := h.carryOutOne(ctx, s, progress); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	return nil
}

func (h *Host) carryOutOne(ctx context.Context, s stage, progress func(string)) (err error) {
	defer func() {
		// The deadline may be the reason why it failed, and a secret must go all the same.
		err = errors.Join(err, h.each(context.WithoutCancel(ctx), s.finally))
	}()
	if s.already != nil {
		if done, err := s.already(ctx, h); done || err != nil {
			return err
		}
	}
	if progress != nil {
		progress(s.title)
	}
	return h.each(ctx, s.operations)
}

func (h *Host) each(ctx context.Context, operations []operation) error {
	for _, o := range operations {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.do(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// show returns what carryOut does on a host where nothing is done yet.
func show(stages []stage) []string {
	var shown []string
	for _, s := range stages {
		for _, o := range s.operations {
			shown = append(shown, o.lines()...)
		}
		for _, o := range s.finally {
			shown = append(shown, o.lines()...)
		}
	}
	return shown
}
