package main

import "github.com/spf13/cobra"

func newClusterCommand(a *app) *cobra.Command {
	return newNoun("cluster", "Storage options that hold for all nodes",
		newClusterInitCommand(a),
		newClusterModifyCommand(a),
		newClusterInfoCommand(a),
		newClusterVerifyCommand(a),
	)
}
