package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// exporterPort is the exporter's default port.
const exporterPort = 19283

func newPrometheusCommand(a *app) *cobra.Command {
	return newNoun("prometheus", "What Prometheus needs to know of the nodes", newPrometheusTargetsCommand(a))
}

// targetsOptions are the flags of prometheus targets.
type targetsOptions struct {
	port int
	file string
}

func newPrometheusTargetsCommand(a *app) *cobra.Command {
	opts := targetsOptions{}
	cmd := &cobra.Command{
		Use:   "targets [--port PORT] [--file FILE]",
		Short: "List the exporters of all nodes, for Prometheus' file_sd",
		Long: `Writes the targets of ceph-ganeti-exporter in the form that Prometheus' file_sd reads: one for each node that is
online, with the labels node, node_group and storage. With --file it replaces a file in one go, and only when something
has changed; Prometheus notices by itself.
` + exitStatus,
		Example: `  cephctl prometheus targets
  cephctl prometheus targets --file /etc/prometheus/nodes.json    # every few minutes, from a timer`,
		Args: rules().NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPrometheusTargets(cmd.Context(), a, opts) },
	}
	cmd.Flags().IntVar(&opts.port, "port", exporterPort, "port of the exporter on the nodes")
	cmd.Flags().StringVar(&opts.file, "file", "", "file to replace (default: standard output)")
	return cmd
}

// target is an entry of file_sd.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func runPrometheusTargets(ctx context.Context, a *app, opts targetsOptions) error {
	if opts.port < 1 || opts.port > 65535 {
		return fmt.Errorf("%w: --port %d: give a number from 1 to 65535", control.ErrUsage, opts.port)
	}
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(targetsOf(c.Nodes, opts.port), "", "  ")
	if err != nil {
		return fmt.Errorf("encode the targets: %w", err)
	}
	text = append(text, '\n')
	if opts.file != "" {
		if old, err := os.ReadFile(opts.file); err == nil && bytes.Equal(old, text) {
			return nil
		}
		return replaceFile(opts.file, text)
	}
	if _, err := a.out.Write(text); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// targetsOf returns the targets of nodes that are online: one that is offline is down on purpose.
func targetsOf(nodes []control.Node, port int) []target {
	targets := []target{}
	for _, n := range nodes {
		if n.Offline {
			continue
		}
		targets = append(targets, target{
			Targets: []string{net.JoinHostPort(n.Address, strconv.Itoa(port))},
			Labels:  map[string]string{"node": n.Name, "node_group": n.Group, "storage": n.Mark},
		})
	}
	return targets
}
