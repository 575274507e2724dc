package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// errChanges is returned by --plan when there is something to be done.
var errChanges = errors.New("there are changes to be made")

// changeOptions are the flags of every command that changes something.
type changeOptions struct {
	plan, yes bool
}

func (o *changeOptions) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.plan, "plan", false, "say what would be done, and do nothing")
}

// registerYes adds the flag of commands that may destroy something.
func (o *changeOptions) registerYes(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.yes, "yes", false, "consent to what is destroyed, without being asked")
}

// change carries out a change, or with --plan prints its plan.
func (a *app) change(ctx context.Context, opts changeOptions, newChange func(*control.Env) control.Change) error {
	return a.changeWith(ctx, opts, newChange, a.report)
}

// changeWith is change with a way of its own to say what was done.
func (a *app) changeWith(ctx context.Context, opts changeOptions, newChange func(*control.Env) control.Change, report func(*control.Plan) error) error {
	env, err := a.open(!opts.plan)
	if err != nil {
		return err
	}
	change := newChange(env)
	change.Command = a.command()
	if opts.plan {
		plan, err := env.Preview(ctx, change)
		return a.show(plan, err)
	}
	env.Log.Info("begin", "command", change.Command)
	ui := &ui{app: a, target: change.Target, yes: opts.yes, progress: a.newProgress()}
	plan, err := env.Execute(ctx, change, ui)
	ui.close()
	env.Log.Info("end", "command", change.Command, "error", err)
	switch {
	case errors.Is(err, control.ErrBlocked):
		return a.refuse(plan, err)
	case err != nil:
		return err
	}
	return report(plan)
}

// ui stands between a change and the person who has asked for it.
type ui struct {
	*progress
	app    *app
	target string
	yes    bool
}

var _ control.UI = (*ui)(nil)

// Consent implements control.UI.
func (u *ui) Consent(ctx context.Context, plan *control.Plan) error {
	return u.app.consent(ctx, plan, u.target, u.yes)
}

// Resuming implements control.UI.
func (u *ui) Resuming(op *state.Operation) {
	fmt.Fprintf(u.app.err, "going on with what %s began at %s\n", op.By, op.Started.Local().Format(time.DateTime))
}

// show prints a plan that is not carried out.
func (a *app) show(plan *control.Plan, err error) error {
	if err != nil {
		return err
	}
	if err := a.print(listed(plan), func(w io.Writer) { writePlan(w, plan) }); err != nil {
		return err
	}
	switch {
	case len(plan.Blockers) > 0:
		return fmt.Errorf("%s: %w", plan.Title, control.ErrBlocked)
	case len(plan.Steps) > 0:
		return errChanges
	}
	return nil
}

// refuse prints the blockers of a plan: for people beside the error, for programs as the output.
func (a *app) refuse(plan *control.Plan, err error) error {
	if a.config.Output == outputTable {
		writeBlockers(a.err, plan)
	} else if err := a.print(listed(plan), nil); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w; nothing was changed", plan.Title, err)
}

// report says what was done.
func (a *app) report(plan *control.Plan) error {
	done := struct {
		*control.Plan
		Changed bool `json:"changed"`
	}{listed(plan), len(plan.Steps) > 0}
	return a.print(done, func(w io.Writer) {
		writeNotes(w, plan)
		if done.Changed {
			fmt.Fprintf(w, "%s: done\n", plan.Title)
			return
		}
		fmt.Fprintf(w, "%s: nothing to do\n", plan.Title)
	})
}

// listed returns a plan whose steps are a list, if an empty one.
func listed(plan *control.Plan) *control.Plan {
	if plan.Steps == nil {
		plan.Steps = []control.Step{}
	}
	return plan
}
