package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// errChanges is returned by --plan when there is something to be done.
var errChanges = errors.New("there are changes to be made")

// changeOptions are the flags of every command that changes something.
type changeOptions struct {
	plan, yes bool
	// target is what the change is about. Its name is typed to consent.
	target string
}

func (o *changeOptions) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.plan, "plan", false, "say what would be done, and do nothing")
}

// registerYes adds the flag of commands that may destroy something.
func (o *changeOptions) registerYes(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.yes, "yes", false, "consent to what is destroyed, without being asked")
}

// planning makes a plan from what there is.
type planning func(ctx context.Context, env *control.Env) (control.Plan, error)

// change makes a plan and, unless --plan says otherwise, carries it out. Nobody else changes anything meanwhile.
func (a *app) change(ctx context.Context, opts *changeOptions, makePlan planning) error {
	env, err := a.open(!opts.plan)
	if err != nil {
		return err
	}
	if !opts.plan {
		release, err := env.Store.Lock(ctx, a.command())
		if err != nil {
			return err
		}
		defer release()
	}
	plan, err := makePlan(ctx, env)
	if err != nil {
		return err
	}
	if plan.Steps == nil {
		plan.Steps = []control.Step{} // an empty list, not null
	}
	switch {
	case len(plan.Blockers) > 0:
		return a.refuse(opts, &plan)
	case opts.plan:
		return a.show(&plan)
	case len(plan.Steps) == 0:
		return a.report(&plan)
	}
	if err := a.consent(ctx, &plan, opts); err != nil {
		return err
	}
	if err := a.carryOut(ctx, env, &plan); err != nil {
		return err
	}
	return a.report(&plan)
}

// refuse prints the plan with its blockers and returns the error.
func (a *app) refuse(opts *changeOptions, plan *control.Plan) error {
	text := func(w io.Writer) { writePlan(w, plan) }
	if a.config.Output == outputTable && !opts.plan {
		writeBlockers(a.err, plan)
		text = func(io.Writer) {}
	}
	if err := a.print(plan, text); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w, nothing was changed", plan.Title, control.ErrBlocked)
}

// show prints the plan.
func (a *app) show(plan *control.Plan) error {
	if err := a.print(plan, func(w io.Writer) { writePlan(w, plan) }); err != nil {
		return err
	}
	if len(plan.Steps) > 0 {
		return errChanges
	}
	return nil
}

// report says what was done.
func (a *app) report(plan *control.Plan) error {
	done := struct {
		*control.Plan
		Changed bool `json:"changed"`
	}{plan, len(plan.Steps) > 0}
	return a.print(done, func(w io.Writer) {
		writeNotes(w, plan)
		if done.Changed {
			fmt.Fprintf(w, "%s: done\n", plan.Title)
			return
		}
		fmt.Fprintf(w, "%s: nothing to do\n", plan.Title)
	})
}

// carryOut applies the plan and shows how far it is. Its errors name the command to go on with.
func (a *app) carryOut(ctx context.Context, env *control.Env, plan *control.Plan) error {
	env.Log.Info("begin", "command", a.command(), "title", plan.Title, "steps", len(plan.Steps))
	p := a.newProgress(plan)
	err := a.apply(ctx, env, plan, p)
	p.close()
	switch {
	case err == nil:
		env.Log.Info("end", "command", a.command(), "title", plan.Title)
		return nil
	case ctx.Err() != nil:
		env.Log.Warn("interrupted", "command", a.command(), "title", plan.Title, "error", err)
		return fmt.Errorf("%s: interrupted (%w); to go on: %s", plan.Title, ctx.Err(), a.command())
	}
	env.Log.Error("broken off", "command", a.command(), "title", plan.Title, "error", err)
	return fmt.Errorf("%w\nwhat was done is kept; to go on when that is mended: %s", err, a.command())
}

// step returns the step of a change of the inventory or the state alone.
func step(c control.Cluster, id, title, sentence string, do func(ctx context.Context) error) control.Step {
	return control.Step{
		ID: id, Node: c.Master, Title: title, Commands: []string{sentence},
		Do: func(ctx context.Context, _ func(string)) error { return do(ctx) },
	}
}

// names returns the names of nodes.
func names(nodes []control.Node) []string {
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = n.Name
	}
	slices.Sort(all)
	return all
}
