package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
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
		{"cluster", "the whole cluster, on the node whose mon leads", true, c.Cluster.register, c.newCluster},
		{"qemu", "QMP monitors of this node's guests", true, nil, c.newQEMU},
		{"rbd", "RBD images: all on the node whose mon leads, else those of this node's guests, as the qemu collector finds them", true, c.RBD.register, c.newRBD},
		{"krbd", "images that this node's kernel has mapped", true, nil, c.newKRBD},
		{"loopback", "whether the node may hang on mapped images that its own OSDs serve", true, nil, c.newLoopback},
		{"node", "what cephctl and Ganeti say of this node", true, nil, c.newNode},
	}
}

func (c *config) newNode(*sources) exporter.Collector {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // which Ganeti knows nothing of, and that is told
	}
	return exporter.NewNode(exporter.NodeOptions{CephctlState: c.CephctlState, GanetiState: c.GanetiState, Host: host})
}

func (c *config) newKRBD(*sources) exporter.Collector {
	return exporter.NewKRBD(exporter.KRBDOptions{Sysfs: c.Sysfs, GanetiRun: c.GanetiRun})
}

func (c *config) newLoopback(s *sources) exporter.Collector {
	return exporter.NewLoopback(exporter.LoopbackOptions{
		Reader:    loopback.Options{Sysfs: c.Sysfs, Procfs: c.Procfs, CephRun: c.CephRun, Caller: s.sockets},
		GanetiRun: c.GanetiRun,
		Guests:    s.guestDevices,
		Shares:    exporter.NewLoopbackShares(s.cluster, rbd.Cluster{Conn: s.cluster}),
	})
}

func (c *config) newQEMU(s *sources) exporter.Collector {
	qemu := exporter.NewQEMU(exporter.QEMUOptions{
		Procfs:     c.Procfs,
		Monitors:   s.monitors,
		GanetiRun:  c.GanetiRun,
		CephctlRun: c.CephctlRun,
		CephRun:    c.CephRun,
		Caller:     s.sockets,
	})
	s.guestImages, s.guestDevices = qemu.Images, qemu.Devices
	return qemu
}

// sources are what collectors share.
type sources struct {
	// sockets outlives a reading of the configuration: it knows which daemons still owe it an answer.
	sockets *adminsocket.Client
	// monitors does, too: it knows which guests have not taken notice yet of what was given up.
	monitors *kvm.Sockets
	// guestImages are the images of this node's guests; none when nobody looks at guests.
	guestImages func() []ceph.Image
	// guestDevices are the block devices of the host that they have as disks.
	guestDevices func() map[string]exporter.GuestDevice
	// leader is asked once a scrape, however many collectors want to know.
	leader exporter.LeaderCheck
	// cluster connects when it is first used.
	cluster *rados.Conn
}

func newSources(c *config, sockets *adminsocket.Client, monitors *kvm.Sockets) *sources {
	return &sources{
		sockets:     sockets,
		monitors:    monitors,
		guestImages: func() []ceph.Image { return nil },
		leader:      exporter.LeaderCheck{Mode: exporter.ClusterMode(c.Cluster.Mode), CephRun: c.CephRun, Caller: sockets}.Shared(),
		cluster:     rados.New(rados.Options{Config: c.CephConfig, User: c.CephUser, Keyring: c.CephKeyring}),
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
