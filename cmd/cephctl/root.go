package main

import (
	"fmt"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func newRootCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   program,
		Short: "Make and keep a storage cluster on the nodes of a node group",
		Long: `Makes and keeps a storage cluster on the nodes of one node group. What is there is looked at, what is to be done is
planned, and then done step by step. With --plan it only says what it would do. Killed at any point, the same command
goes on.

Every global flag is also a key of the configuration file and an environment variable (` + rules().Variable("state-dir") + `). A
flag wins over the environment, that over the file, that over the default.
` + exitStatus,
		Example: `  cephctl cluster init -S ceph:disk=/dev/sdb
  cephctl node add node2
  cephctl node list -o json`,
		Version:           version.Version,
		Args:              rules().NoCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.config.complete() },
	}
	a.config.register(cmd.PersistentFlags())
	cmd.Flags().SortFlags = false
	cmd.SetVersionTemplate(version.Print(program) + "\n")
	cmd.SetFlagErrorFunc(rules().FlagError)
	cmd.SetIn(a.in)
	cmd.SetOut(a.out)
	cmd.SetErr(a.err)
	cmd.AddCommand(
		newClusterCommand(a),
		newGroupCommand(a),
		newNodeCommand(a),
		newStorageCommand(a),
		newPoolCommand(a),
		newInstanceCommand(a),
		newLoopbackCommand(a),
		newRulesCommand(a),
		newDashboardsCommand(a),
		newPrometheusCommand(a),
		newHooksCommand(a),
		newNodeAgentCommand(a),
		newGanetiHookCommand(a),
	)
	completeValues(cmd, "output", outputs...)
	completeValues(cmd, "inventory", inventories...)
	return cmd
}

// newNoun returns a command that only has others below it.
func newNoun(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  short + ".\n" + exitStatus,
		Args:  rules().NoCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// arguments asks for a number of arguments, of which what says what they are; most is 0 when there may be any number.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most > 0 && len(args) > most {
			return fmt.Errorf("%w: give %s; see %s --help", control.ErrUsage, what, cmd.CommandPath())
		}
		return nil
	}
}
