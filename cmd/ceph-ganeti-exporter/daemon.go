package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// daemonSettings are the settings of the daemon collector.
type daemonSettings struct {
	Priority         int
	Include, Exclude pattern
	Histograms       bool
}

func (d *daemonSettings) register(f *pflag.FlagSet) {
	f.IntVar(&d.Priority, "collector.daemon.priority", 5, "lowest priority of exported perf counters: 10 critical, 8 interesting, 5 useful, 2 uninteresting, 0 debug")
	f.Var(&d.Include, "collector.daemon.include", "only daemons whose whole name (for example osd.3 or client.NAME) this regular expression matches")
	f.Var(&d.Exclude, "collector.daemon.exclude", "no daemons whose whole name this regular expression matches")
	f.BoolVar(&d.Histograms, "collector.daemon.histograms", false, "latency histograms of the OSDs, for one more command a scrape to each")
}

func (d *daemonSettings) validate() error {
	if d.Priority < 0 || d.Priority > 10 {
		return fmt.Errorf("collector.daemon.priority %d: give a number from 0 to 10", d.Priority)
	}
	return nil
}

func (c *config) newDaemon(s *sources) exporter.Collector {
	return exporter.NewDaemon(exporter.DaemonOptions{
		RunDir:     c.CephRun,
		Procfs:     c.Procfs,
		Priority:   c.Daemon.Priority,
		Include:    c.Daemon.Include.re,
		Exclude:    c.Daemon.Exclude.re,
		Histograms: c.Daemon.Histograms,
		Caller:     s.sockets,
	})
}
