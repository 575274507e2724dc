// Command ceph-ganeti-exporter gives Prometheus what the mons, OSDs, RBD images and QEMU block devices of a
// Ganeti node do.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
	exitPartial = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	version.Version = cmp.Or(version.Version, "devel")
	err := newRootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errPartial):
		return exitPartial
	}
	return exitFailure
}

const program = "ceph-ganeti-exporter"

func newRootCommand() *cobra.Command {
	c := &config{}
	cmd := &cobra.Command{
		Use:   program,
		Short: "Prometheus exporter for Ganeti nodes with Ceph",
		Long: `Gives Prometheus what this node's Ceph daemons, RBD images and QEMU guests do, joined:
instance, disk, image, pool, OSD. It only reads.

Every flag is also a key of the configuration file (collector.X as "collector: {X: {enabled: ...}}") and an
environment variable (` + rules().Variable("web.listen-address") + `). A flag wins over the environment, that
over the file, that over the default. A collector is switched off by --no-collector.X. SIGHUP reads the
configuration anew.

EXIT STATUS
  0  ended in order
  1  could not serve
  2  a flag, variable or key is wrong`,
		Example: `  ceph-ganeti-exporter --config.file=/etc/ceph-ganeti-exporter.yml
  ceph-ganeti-exporter --no-collector.rbd --collector.daemon.exclude='client\..*'`,
		Version:       version.Version,
		Args:          rules().NoArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	c.register(cmd.Flags(), cmd.PersistentFlags())
	cmd.Flags().SortFlags = false
	cmd.PersistentFlags().SortFlags = false
	cmd.SetVersionTemplate(version.Print(program) + "\n")
	cmd.SetFlagErrorFunc(rules().FlagError)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.complete(cmd.Flags()); err != nil {
			return err
		}
		if c.Check {
			if err := c.checkKeyring(); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "configuration is valid")
			return nil
		}
		return serve(cmd.Context(), c, os.Args[1:])
	}
	cmd.AddCommand(newCaptureCommand(c))
	return cmd
}
