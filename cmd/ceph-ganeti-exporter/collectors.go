package main

import (
	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// registration is a collector as the settings know it.
type registration struct {
	name string
	// reads says what it reads, in --help.
	reads string
	// enabled is whether it runs when nothing is said.
	enabled bool
	// register declares its own flags, collector.NAME.OPTION. Nil when it has none.
	register func(*pflag.FlagSet)
	// make makes it when the settings are complete.
	make func(*sources) exporter.Collector
}

// collectors lists all collectors.
func (c *config) collectors() []registration {
	return []registration{
		{"daemon", "admin sockets of this node's Ceph daemons and clients", true, c.Daemon.register, c.newDaemon},
		{"krbd", "images that this node's kernel has mapped", true, nil, c.newKRBD},
	}
}

func (c *config) newKRBD(*sources) exporter.Collector {
	return exporter.NewKRBD(exporter.KRBDOptions{Sysfs: c.Sysfs, GanetiRun: c.GanetiRun})
}

// sources are what collectors share.
type sources struct {
	sockets *adminsocket.Client
	// cluster connects when it is first used.
	cluster *rados.Conn
}

func newSources(c *config) *sources {
	return &sources{
		sockets: &adminsocket.Client{},
		cluster: rados.New(rados.Options{Config: c.CephConfig, User: c.CephUser, Keyring: c.CephKeyring}),
	}
}

func (s *sources) close() { s.cluster.Close() }

// newCollectors makes the collectors that the settings enable.
func newCollectors(c *config, s *sources) []exporter.Collector {
	var enabled []exporter.Collector
	for _, r := range c.collectors() {
		if *c.Enabled[r.name] {
			enabled = append(enabled, r.make(s))
		}
	}
	return enabled
}
