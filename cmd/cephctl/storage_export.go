package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newStorageExportCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE",
		Short: "Save what a new master needs",
		Long: `Saves cephctl's state, the configuration of the storage cluster and its admin key to a new file that only root can
read. Keep it where the master's end does not take it along: whoever has it can do everything to the cluster.
` + exitStatus,
		Example: `  cephctl storage export /root/storage.json`,
		Args:    arguments(1, 1, "the name of a new file"),
		RunE:    func(cmd *cobra.Command, args []string) error { return runStorageExport(cmd.Context(), a, args[0]) },
	}
}

func runStorageExport(_ context.Context, a *app, path string) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	if err := clusterOf(env).Export(path); err != nil {
		return err
	}
	return a.done("saved to " + path)
}

func newStorageRestoreCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make this host the master, from a saved file",
		Long: `Puts on this host what export has saved on another. It refuses where the state or the configuration of another
storage cluster is, or a newer state of the same.
` + exitStatus,
		Example: `  cephctl storage restore /root/storage.json`,
		Args:    arguments(1, 1, "the name of the file"),
		RunE:    func(cmd *cobra.Command, args []string) error { return runStorageRestore(cmd.Context(), a, args[0]) },
	}
}

func runStorageRestore(ctx context.Context, a *app, path string) error {
	env, err := a.open(true)
	if err != nil {
		return err
	}
	if err := clusterOf(env).Restore(ctx, path); err != nil {
		return err
	}
	return a.done("restored from " + path + "; see: cephctl storage status")
}

// done says what was done, in the form that -o asks for.
func (a *app) done(text string) error {
	return a.print(struct {
		Done string `json:"done"`
	}{text}, func(w io.Writer) { fmt.Fprintln(w, text) })
}
