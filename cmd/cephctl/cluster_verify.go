package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
)

// errFindings is returned when verify has found something that is wrong.
var errFindings = errors.New("something is not as it should be")

func newClusterVerifyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Check everything on every node",
		Long: `Checks every node and the storage cluster, and lists all that is not as it should be, with what to do about it. Warnings
alone do not make it fail.
` + exitStatus,
		Example: `  cephctl cluster verify`,
		Args:    rules().NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runClusterVerify(cmd.Context(), a) },
	}
}

func runClusterVerify(ctx context.Context, a *app) error {
	env, err := a.open(false)
	if err != nil {
		return err
	}
	findings, err := clusterOf(env).Verify(ctx)
	if err != nil {
		return err
	}
	findings = append([]storageFinding{}, findings...) // an empty list, not null
	if err := a.print(findings, func(w io.Writer) { a.writeFindings(w, findings) }); err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f storageFinding) bool { return f.Severity == severityError }) {
		return errFindings
	}
	return nil
}

func (a *app) writeFindings(w io.Writer, findings []storageFinding) {
	for _, f := range findings {
		where := f.Node
		if where == "" {
			where = "cluster"
		}
		fmt.Fprintf(w, "%s: %s: %s\n", f.Severity, where, f.Text)
		if f.Cure != "" {
			fmt.Fprintf(w, "    %s\n", f.Cure)
		}
	}
	if len(findings) == 0 {
		fmt.Fprintln(w, "all is well")
	}
}
