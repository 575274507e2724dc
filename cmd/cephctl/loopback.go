package main

import (
	"github.com/spf13/cobra"
)

func newLoopbackCommand(a *app) *cobra.Command {
	return newNoun("loopback", "Whether nodes may hang on mapped images that their own OSDs serve", newLoopbackCheckCommand(a), newLoopbackPlanCommand(a))
}
