package main

import "github.com/ceph-ganeti/ceph-ganeti-exporter/control"

// nodeChange is a change of a node, or of several, that are in a storage group, come into one or leave one.
type nodeChange struct {
	kind changeKind
	// storage is the name of the storage type that the group or node is enabled for.
	storage string
	// node is the node as the inventory has it, or as it is to be for one that is new to it.
	node control.Node
	// options are storage options of its own, for add.
	options control.Values
	// group and nodes are set for assign.
	group string
	nodes []string
	// noDrain does not wait until the node's data is elsewhere.
	noDrain bool
	// judge only looks whether a node may go offline, as fast as that can be.
	judge bool
	// force removes a node although it is part of distributed storage, dead one that will never answer again.
	force, dead bool
}

// changeKind is what happens to a node.
type changeKind int

const (
	// nodeAdd adds a node to the inventory, in a storage group.
	nodeAdd changeKind = iota
	// nodeReadd brings a node of a storage group back that is offline.
	nodeReadd
	// nodeOffline takes a node offline.
	nodeOffline
	// nodeRemove removes a node from the inventory.
	nodeRemove
	// nodeAssign moves nodes into or out of a storage group.
	nodeAssign
)

// nodePlanner returns the change of nodes that have to do with storage, that of the inventory included.
type nodePlanner func(env *control.Env, change nodeChange) control.Change
