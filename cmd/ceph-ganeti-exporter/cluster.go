package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// clusterSettings are the settings of the cluster collector.
type clusterSettings struct {
	Mode clusterMode
}

func (s *clusterSettings) register(f *pflag.FlagSet) {
	s.Mode = clusterMode(exporter.ClusterAuto)
	f.Var(&s.Mode, "collector.cluster.mode", "when this node reads what is of the whole cluster: auto (its mon leads the quorum), always or never; holds for all images of the rbd collector too")
}

func (c *config) newCluster(s *sources) exporter.Collector {
	return exporter.NewCluster(exporter.ClusterOptions{Leader: s.leader, Runner: s.cluster})
}

// clusterMode is an exporter.ClusterMode as a flag.
type clusterMode exporter.ClusterMode

// String implements pflag.Value.
func (m *clusterMode) String() string { return string(*m) }

// Type implements pflag.Value.
func (m *clusterMode) Type() string { return "mode" }

// Set implements pflag.Value.
func (m *clusterMode) Set(text string) error {
	switch mode := exporter.ClusterMode(text); mode {
	case exporter.ClusterAuto, exporter.ClusterAlways, exporter.ClusterNever:
		*m = clusterMode(mode)
		return nil
	}
	return fmt.Errorf("no such mode")
}
