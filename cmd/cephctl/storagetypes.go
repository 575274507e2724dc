package main

import (
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/hooks"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/replica"
)

// storageTypes are those that there are.
func storageTypes() []control.StorageType {
	return []control.StorageType{cephstorage.Type{}}
}

// agentHandlers are what a node is asked for, by storage type or, where that makes no difference, by part of cephctl.
func agentHandlers(runner control.Runner, host string) map[string]agent.Handler {
	return map[string]agent.Handler{
		cephstorage.Name: node.Handler{Host: node.New(runner)},
		guest.Name: guest.Handler{Runner: runner, Disks: map[string]control.DiskHost{
			cephstorage.TemplateName: cephstorage.NewDiskHost(runner, loopback.Options{}),
		}},
		loopcheck.Name: loopcheck.Host{Name: host},
		hooks.Name:     hooks.Host{},
		replica.Name:   replica.Handler{},
	}
}

// changeNode implements nodePlanner. There is one storage type.
func changeNode(env *control.Env, c nodeChange) control.Change {
	s := cephstorage.New(env)
	switch c.kind {
	case nodeAdd:
		return s.AddNode(c.node, c.options, "")
	case nodeReadd:
		return s.Readd(c.node.Name, "")
	case nodeOffline:
		return s.Offline(c.node.Name, "", cephstorage.OfflineOptions{NoDrain: c.noDrain, Judge: c.judge})
	case nodeRemove:
		if c.dead {
			return s.RemoveDead(c.node.Name, "")
		}
		return s.RemoveNode(c.node.Name, "", cephstorage.RemoveOptions{Force: c.force})
	}
	return s.Assign(c.group, c.nodes, "")
}
