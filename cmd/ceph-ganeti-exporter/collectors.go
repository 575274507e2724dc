package main

import (
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// newCollectors makes the collectors that the settings enable.
func newCollectors(c *config) []exporter.Collector {
	sockets := &adminsocket.Client{}
	var enabled []exporter.Collector
	if *c.Enabled["daemon"] {
		enabled = append(enabled, exporter.NewDaemon(exporter.DaemonOptions{
			RunDir:     c.CephRun,
			Procfs:     c.Procfs,
			Priority:   c.DaemonPriority,
			Include:    c.DaemonInclude.re,
			Exclude:    c.DaemonExclude.re,
			Histograms: c.DaemonHistograms,
			Caller:     sockets,
		}))
	}
	if *c.Enabled["krbd"] {
		enabled = append(enabled, exporter.NewKRBD(exporter.KRBDOptions{Sysfs: c.Sysfs, GanetiRun: c.GanetiRun}))
	}
	return enabled
}
