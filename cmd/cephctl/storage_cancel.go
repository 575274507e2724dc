package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newStorageCancelCommand(a *app) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "cancel",
		Short: "Give up what was begun and not finished",
		Long: `Gives up the operation that was interrupted, so that others can begin. OSDs that it had taken out get their weights
back. What it has made or removed stays so; the output says how to go on from there. While the cluster does not answer, only
--force gives it up.
` + exitStatus,
		Example: `  cephctl storage cancel`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runStorageCancel(cmd.Context(), a, force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "give it up although the cluster does not answer")
	return cmd
}

func runStorageCancel(ctx context.Context, a *app, force bool) error {
	env, err := a.open(true)
	if err != nil {
		return err
	}
	st, err := env.Store.Load()
	if err != nil {
		return err
	}
	text, err := clusterOf(env).Cancel(ctx, force)
	if err != nil {
		return err
	}
	forgetOperation(ctx, env, st.Operation)
	return a.done(text)
}
