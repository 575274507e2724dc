package main

import (
	"context"
	"fmt"
	"os"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

func newNodeAgentCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "node-agent",
		Short:  "Do on this host what a master asks for on standard input",
		Args:   rules().NoArguments,
		Hidden: true,
		// The master's settings count, not this host's.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE:              func(cmd *cobra.Command, _ []string) error { return runNodeAgent(cmd.Context(), a) },
	}
	return cmd
}

func runNodeAgent(ctx context.Context, a *app) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	runner := &run.Runner{Host: host}
	return agent.Serve(ctx, a.in, a.out, agent.Options{
		Version:  version.Version,
		Host:     host,
		Handlers: agentHandlers(runner, host),
		Attach:   func(onRun func(string)) { runner.OnRun = onRun },
	})
}
