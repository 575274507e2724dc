package main

import "github.com/spf13/cobra"

func newNodeCommand(a *app) *cobra.Command {
	return newNoun("node", "Nodes",
		newNodeAddCommand(a),
		newNodeListCommand(a),
		newNodeInfoCommand(a),
		newNodeModifyCommand(a),
		newNodeRemoveCommand(a),
	)
}
