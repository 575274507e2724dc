// Package state keeps what cephctl has to remember on the master: one JSON file, written by rename under a lock, with
// the previous version beside it.
package state

import (
	"encoding/json"
	"slices"
	"time"
)

// Version is the version of the file's schema.
const Version = 1

// State is everything that cephctl remembers. It holds no secrets.
type State struct {
	Version int `json:"version"`
	// Serial counts the times that the file was written.
	Serial uint64 `json:"serial"`
	// Inventory belongs to the local inventory. It is empty where Ganeti keeps nodes and groups.
	Inventory json.RawMessage `json:"inventory,omitempty"`
	// Storage is what is known of each storage type, by its name.
	Storage map[string]*Storage `json:"storage,omitempty"`
	// Operation is what was begun and has not been finished, or nil.
	Operation *Operation `json:"operation,omitempty"`
}

// Storage is what is known of one storage type.
type Storage struct {
	// Options are those of the cluster, as given by -S.
	Options map[string][]string `json:"options,omitempty"`
	// Nodes are the options that single nodes have of their own, by node and option.
	Nodes map[string]map[string][]string `json:"nodes,omitempty"`
	// ID is the storage cluster's own id (Ceph: its fsid). It is empty until one is being made.
	ID string `json:"id,omitempty"`
	// Group is the storage group, or empty.
	Group string `json:"group,omitempty"`
	// Clients are the groups whose nodes are clients of the storage cluster, and run nothing of it.
	Clients []string `json:"clients,omitempty"`
	// Pools are the names of the nodes that single pools are kept on, by pool.
	Pools map[string][]string `json:"pools,omitempty"`
	// Initialised is when the storage cluster was finished, or zero. A group that was marked without a node in it has
	// none.
	Initialised time.Time `json:"initialised,omitzero"`
}

// SetNode sets the options that a node has of its own; without any it has the cluster's.
func (s *Storage) SetNode(name string, options map[string][]string) {
	if s.Nodes == nil {
		s.Nodes = make(map[string]map[string][]string)
	}
	s.Nodes[name] = options
	if len(options) == 0 {
		delete(s.Nodes, name)
	}
}

// RemoveClient forgets that a group is a client.
func (s *Storage) RemoveClient(group string) {
	s.Clients = slices.DeleteFunc(s.Clients, func(c string) bool { return c == group })
}

// Operation is a change under way, so that the same command can go on after it was interrupted, and no other begins.
type Operation struct {
	// Kind and Target tell it from others, for example "offline" and "node3".
	Kind   string `json:"kind"`
	Target string `json:"target"`
	// Command is what to type to go on.
	Command string `json:"command"`
	// Unattended tells that nobody has typed it: a hook of Ganeti's has begun it, and its watcher goes on with it.
	Unattended bool `json:"unattended,omitempty"`
	// Started is when it began, By who began it, as "root@node1".
	Started time.Time `json:"started"`
	By      string    `json:"by"`
	// Done are the ids of the steps that were finished, in order.
	Done []string `json:"done,omitempty"`
	// Data is what was decided at the beginning or found on the way and must not change any more, for example the
	// uuids of new OSDs or the weights that a cancel restores.
	Data map[string]string `json:"data,omitempty"`
}
