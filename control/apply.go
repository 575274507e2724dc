package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// apply carries out the steps of a plan. It stops at the first that fails, when those that run beside it have ended. Touched
// tells that something was done, or may have been.
func (e *Env) apply(ctx context.Context, plan *Plan, ui UI) (touched bool, err error) {
	var some atomic.Bool
	for _, stage := range stages(plan.Steps) {
		jobs, stageCtx := errgroup.WithContext(ctx)
		jobs.SetLimit(max(1, e.Parallel))
		for _, steps := range byNode(stage) {
			jobs.Go(func() error {
				for _, step := range steps {
					if err := context.Cause(stageCtx); err != nil {
						return fmt.Errorf("before %q on %s: %w", step.Title, step.Node, err)
					}
					// Not stageCtx: what has begun on one node is not broken off because another node fails.
					touched, err := e.applyStep(ctx, plan, step, ui)
					if touched {
						some.Store(true)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := jobs.Wait(); err != nil {
			return some.Load(), err
		}
	}
	return some.Load(), nil
}

func (e *Env) applyStep(ctx context.Context, plan *Plan, step *Step, ui UI) (touched bool, err error) {
	e.point("begin", step)
	ui.Started(plan, step)
	start := time.Now()
	touched, err = e.perform(ctx, step, ui)
	e.Log.Info("step", "id", step.ID, "node", step.Node, "title", step.Title, "seconds", time.Since(start).Seconds(), "err", err)
	if err == nil {
		e.point("effect", step)
		err = e.checkpoint(step)
	}
	ui.Finished(step, err)
	if err != nil {
		return touched, fmt.Errorf("%s: %s: %w", step.Node, step.Title, err)
	}
	e.point("done", step)
	return touched, nil
}

// perform does a step. Of one that has failed, it tells whether it may have done something.
func (e *Env) perform(ctx context.Context, step *Step, ui UI) (touched bool, err error) {
	if step.Check != nil {
		if err := step.Check(ctx); err != nil {
			return false, err
		}
	}
	err = step.Do(ctx, func(text string) { ui.Progress(step, text) })
	return !step.Refusable || !errors.Is(err, ErrNotDone), err
}

// checkpoint remembers that a step was done.
func (e *Env) checkpoint(step *Step) error {
	if e.forgets {
		return nil
	}
	err := e.Store.Update(func(st *state.State) error {
		if st.Operation == nil {
			return errors.New("the operation is gone from the state file")
		}
		st.Operation.Done = append(st.Operation.Done, step.ID)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	return nil
}

// point tells the tests how far a step is.
func (e *Env) point(where string, step *Step) {
	if e.Points != nil {
		e.Points(where, step.ID)
	}
}

// stages splits steps into those that run one after the other, and within each those that may run together.
func stages(steps []Step) [][]*Step {
	var out [][]*Step
	for i := range steps {
		last := len(out) - 1
		if i > 0 && steps[i].Together != "" && steps[i].Together == steps[i-1].Together {
			out[last] = append(out[last], &steps[i])
			continue
		}
		out = append(out, []*Step{&steps[i]})
	}
	return out
}

// byNode splits the steps of a stage by node. Those of one node stay in order.
func byNode(stage []*Step) [][]*Step {
	var out [][]*Step
	for _, step := range stage {
		i := slices.IndexFunc(out, func(steps []*Step) bool { return steps[0].Node == step.Node })
		if i < 0 {
			out = append(out, []*Step{step})
			continue
		}
		out[i] = append(out[i], step)
	}
	return out
}
