package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// storageDestroyOptions are the flags of storage destroy.
type storageDestroyOptions struct {
	changeOptions
	force bool
	id    string
}

func newStorageDestroyCommand(a *app) *cobra.Command {
	opts := storageDestroyOptions{}
	cmd := &cobra.Command{
		Use:   "destroy [--force] [--yes --cluster-id ID]",
		Short: "Take the whole storage cluster down, with all data",
		Long: `Stops and removes all daemons of the storage cluster, wipes their devices, and takes the marks off nodes and group. All
that stands in its way is listed; images do, unless --force gives them up.

Consent is asked for twice: once by the name of what goes, once by the id of the cluster. Without a terminal that is
--yes and --cluster-id.
` + exitStatus,
		Example: `  cephctl storage destroy --plan
  cephctl storage destroy --yes --cluster-id 4f0bd7b9-3dd1-4ac3-8a3e-0d6b1d0c0a55`,
		Args: rules().NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStorageDestroy(cmd.Context(), a, opts) },
	}
	cmd.Flags().BoolVar(&opts.force, "force", false, "give up images that exist")
	cmd.Flags().StringVar(&opts.id, "cluster-id", "", "id of the cluster that goes: the second consent")
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}

func runStorageDestroy(ctx context.Context, a *app, opts storageDestroyOptions) error {
	if !opts.plan {
		if err := a.consentToDestroy(ctx, &opts); err != nil {
			return err
		}
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return clusterOf(env).Destroy(opts.force, "")
	})
}

// consentToDestroy asks for the id of the cluster: the consent that comes before that to the plan.
func (a *app) consentToDestroy(ctx context.Context, opts *storageDestroyOptions) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	id, err := clusterOf(env).ID()
	if err != nil || id == "" {
		return err // nothing is there to be destroyed, or only a mark
	}
	if opts.id == "" && a.terminalIn && a.terminalErr && a.config.Output == outputTable {
		fmt.Fprintf(a.err, "This is cluster %s. To consent to its end, type its id: ", id)
		if opts.id, err = a.readLine(ctx); err != nil {
			return err
		}
	}
	if opts.id == id {
		return nil
	}
	plan := &control.Plan{Title: "take the storage cluster down"}
	plan.Block("", "consent", "give its id: --cluster-id "+id, "the second consent is missing")
	if opts.id != "" {
		plan.Blockers[0].Text = fmt.Sprintf("--cluster-id %s is not the id of this cluster", opts.id)
	}
	if a.config.Output == outputTable {
		writeBlockers(a.err, plan)
	} else if err := a.print(listed(plan), func(io.Writer) {}); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w; nothing was changed", plan.Title, control.ErrBlocked)
}
