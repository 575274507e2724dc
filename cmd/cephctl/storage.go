package main

import "github.com/spf13/cobra"

func newStorageCommand(a *app) *cobra.Command {
	return newNoun("storage", "The storage cluster of the storage group",
		newStorageInitCommand(a),
		newStorageAddClientCommand(a),
		newStorageRemoveClientCommand(a),
		newStorageStatusCommand(a),
		newStorageReplaceOSDCommand(a),
		newStorageDestroyCommand(a),
		newStorageExportCommand(a),
		newStorageRestoreCommand(a),
		newStorageCancelCommand(a),
	)
}
