package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newStorageCancelCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel",
		Short: "Give up what was begun and not finished",
		Long: `Gives up the operation that was interrupted, so that others can begin. OSDs that it had taken out get their weights
back. What it has made or removed stays so; the output says how to go on from there.
` + exitStatus,
		Example: `  cephctl storage cancel`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runStorageCancel(cmd.Context(), a) },
	}
}

func runStorageCancel(ctx context.Context, a *app) error {
	env, err := a.open(true)
	if err != nil {
		return err
	}
	text, err := clusterOf(env).Cancel(ctx)
	if err != nil {
		return err
	}
	return a.done(text)
}
