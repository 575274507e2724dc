package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	versions "github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter/capture"
)

// errPartial is returned when a capture lacks some of what is there.
var errPartial = errors.New("capture is not complete")

// captureOptions are the flags of capture alone.
type captureOptions struct {
	redact, asIs bool
}

func newCaptureCommand(c *config) *cobra.Command {
	opts := captureOptions{}
	cmd := &cobra.Command{
		Use:   "capture --redact DIR",
		Short: "Write what this node's daemons answer into a new directory",
		Long: `Writes what the exporter can read on this node now into DIR, which must be new or empty: answers of the
admin sockets, of the guests' QMP monitors and of the cluster, Ganeti's runtime files, and what procfs and sysfs
say. That is how a case is reported, and a file of it can be used as test data as it is. Each daemon is asked once
all that the exporter may ask, whichever collectors are enabled, the state of every placement group too. The I/O of
images, for which the mgr installs queries in the OSDs, is left out with --collector.rbd.perf=false.

With --redact the names of hosts, instances and domains, the addresses and the cluster's id are replaced, each by
the same everywhere, and keys, secrets and passwords are removed. Look through the files before you hand them on.

EXIT STATUS
  0  all was written
  1  nothing could be written
  2  a flag, variable or key is wrong
  3  some could not be read; manifest.json says what and why, the rest was written`,
		Example: `  ceph-ganeti-exporter capture --redact /root/case`,
		Args:    oneDirectory,
	}
	cmd.Flags().BoolVar(&opts.redact, "redact", false, "replace names and addresses, remove secrets")
	cmd.Flags().BoolVar(&opts.asIs, "no-redact", false, "write everything as it is, secrets too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if opts.redact == opts.asIs {
			return fmt.Errorf("%w: give --redact, or --no-redact to write secrets too", errUsage)
		}
		cmd.Flags().AddFlagSet(cmd.Root().Flags()) // environment and file have the settings of serving too
		if err := c.complete(cmd.Flags()); err != nil {
			return err
		}
		return runCapture(cmd.Context(), c, opts, args[0], cmd.OutOrStdout())
	}
	return cmd
}

func oneDirectory(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: give one directory, got %d", errUsage, len(args))
	}
	return nil
}

func runCapture(ctx context.Context, c *config, opts captureOptions, dir string, out io.Writer) error {
	s := newSources(c, new(adminsocket.Client), nil)
	defer s.close()
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("capture: find the name of this node: %w", err)
	}
	m, err := capture.Write(ctx, dir, capture.Options{
		Host:        host,
		Version:     versions.Version,
		Redact:      opts.redact,
		CephRun:     c.CephRun,
		CephConfig:  c.CephConfig,
		Procfs:      c.Procfs,
		Sysfs:       c.Sysfs,
		GanetiRun:   c.GanetiRun,
		GanetiState: c.GanetiState,
		CephctlRun:  c.CephctlRun,
		Timeout:     c.TargetTimeout,
		Perf:        c.RBD.Perf,
		Now:         time.Now(),
		Sockets:     s.sockets,
		Cluster:     s.cluster,
	})
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	fmt.Fprintf(out, "%d files in %s\n", len(m.Files), dir)
	if opts.redact {
		fmt.Fprintf(out, "replaced: %s\nLook through them before you hand them on.\n", m.Replaced)
	}
	for _, f := range m.Failed {
		fmt.Fprintf(out, "failed: %s: %s\n", f.What, f.Why)
	}
	if len(m.Failed) > 0 {
		return fmt.Errorf("%w: %d of %d could not be read", errPartial, len(m.Failed), len(m.Failed)+len(m.Files))
	}
	return nil
}
