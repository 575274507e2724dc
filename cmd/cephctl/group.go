package main

import "github.com/spf13/cobra"

func newGroupCommand(a *app) *cobra.Command {
	return newNoun("group", "Groups of nodes",
		newGroupAddCommand(a),
		newGroupListCommand(a),
		newGroupInfoCommand(a),
		newGroupModifyCommand(a),
		newGroupRemoveCommand(a),
		newGroupAssignNodesCommand(a),
	)
}
