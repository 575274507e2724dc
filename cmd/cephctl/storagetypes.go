package main

import (
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
)

// storageTypes are those that there are.
func storageTypes() []control.StorageType {
	return []control.StorageType{cephstorage.Type{}}
}

// agentHandlers are what a node is asked for, by storage type. That of cephctl itself is what is mapped on the node.
func agentHandlers(runner control.Runner, host string) map[string]agent.Handler {
	return map[string]agent.Handler{
		"":               loopcheck.Host{Name: host},
		cephstorage.Name: node.Handler{Host: node.New(runner)},
	}
}

// changeNode implements nodePlanner. There is one storage type.
func changeNode(env *control.Env, c nodeChange) control.Change {
	s := cephstorage.New(env)
	switch c.kind {
	case nodeAdd:
		return s.AddNode(c.node, "")
	case nodeReadd:
		return s.Readd(c.node.Name, "")
	case nodeOffline:
		return s.Offline(c.node.Name, "", cephstorage.OfflineOptions{NoDrain: c.noDrain})
	case nodeRemove:
		if c.dead {
			return s.RemoveDead(c.node.Name, "")
		}
		return s.RemoveNode(c.node.Name, "", cephstorage.RemoveOptions{Force: c.force})
	}
	return s.Assign(c.group, c.nodes, "")
}
