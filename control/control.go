// Package control makes and keeps a storage cluster on the nodes of a node group: what is there is observed, what is to
// be done is planned and shown, and then done step by step.
package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

// Cluster is what the inventory knows.
type Cluster struct {
	Name string `json:"name"`
	// Master is the name of the node that this runs on, when it is one of the nodes.
	Master string `json:"master,omitempty"`
	// Groups and Nodes are in the order of their names.
	Groups []Group `json:"groups"`
	Nodes  []Node  `json:"nodes"`
	// Instances are in the order of their names.
	Instances []Instance `json:"instances,omitempty"`
	// DiskParams are the disk parameters of the cluster, by disk template.
	DiskParams map[string]Values `json:"disk_params,omitempty"`
	// Preset are disk parameters that nobody can set, by template: what they are, or empty for those that there are not.
	Preset map[string]map[string]string `json:"-"`
	// Release is that of who starts and stops the instances, when it is not cephctl.
	Release string `json:"-"`
	// AdminClients tells that whoever starts instances opens their disks with the administrator's key, which has to be
	// on every node then.
	AdminClients bool `json:"-"`
	// MasterStays tells that the inventory does not let the master go offline.
	MasterStays bool `json:"-"`
}

// Group is a node group.
type Group struct {
	Name string `json:"name"`
	// Mark is the storage type that the group is enabled for, or empty.
	Mark string `json:"storage,omitempty"`
	// DiskParams are the disk parameters of the group, by disk template.
	DiskParams map[string]Values `json:"disk_params,omitempty"`
}

// Node is a node of the inventory.
type Node struct {
	Name string `json:"name"`
	// Address is how the transport reaches the node: a name or an IP address.
	Address string `json:"address"`
	Group   string `json:"group"`
	Offline bool   `json:"offline"`
	// Mark is the storage type that the node is enabled for, or empty.
	Mark string `json:"storage,omitempty"`
	// InstanceMemoryBytes is what the instances of the node may use at most.
	InstanceMemoryBytes int64 `json:"instance_memory_bytes,omitempty"`
}

// Node returns the node with this name, or false.
func (c *Cluster) Node(name string) (Node, bool) {
	i := slices.IndexFunc(c.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return c.Nodes[i], true
}

// Group returns the group with this name, or false.
func (c *Cluster) Group(name string) (Group, bool) {
	i := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return c.Groups[i], true
}

// Members returns the nodes of a group.
func (c *Cluster) Members(group string) []Node {
	var members []Node
	for _, n := range c.Nodes {
		if n.Group == group {
			members = append(members, n)
		}
	}
	return members
}

// Inventory is where nodes, groups and instances are looked up and marked. Its methods return errors that wrap
// ErrUnknown for a node or group that does not exist, and ErrExists for one that does.
type Inventory interface {
	// Cluster returns all of it.
	Cluster(ctx context.Context) (Cluster, error)
	AddGroup(ctx context.Context, name string) error
	// RemoveGroup removes a group without nodes.
	RemoveGroup(ctx context.Context, name string) error
	// AssignNodes moves nodes into a group.
	AssignNodes(ctx context.Context, group string, nodes ...string) error
	AddNode(ctx context.Context, node Node) error
	RemoveNode(ctx context.Context, name string) error
	SetOffline(ctx context.Context, node string, offline bool) error
	// MarkGroup and MarkNode say that a group or node is enabled for a storage type, or with an empty one for none.
	MarkGroup(ctx context.Context, group, storage string) error
	MarkNode(ctx context.Context, node, storage string) error
}

// Transport reaches nodes.
type Transport interface {
	// Call has the agent of a node carry out a request and returns the data of its result. It tells events as they
	// come. Errors wrap ErrUnreachable when the agent has not answered at all, and besides ErrRefused when the node has.
	Call(ctx context.Context, node Node, request agent.Request, events func(agent.Event)) (json.RawMessage, error)
}

// Runner runs commands on the host that cephctl runs on.
type Runner interface {
	// Run runs a command to its end, bounded by ctx, and returns what it has printed on standard output. An error
	// holds what it has printed on standard error, and has a method ExitCode() int when the command has ended.
	Run(ctx context.Context, stdin []byte, argv ...string) (stdout []byte, err error)
}

// Env is what plans are made and carried out with.
type Env struct {
	Inventory Inventory
	Transport Transport
	Runner    Runner
	Store     Store
	Log       *slog.Logger
	// Version is that of cephctl.
	Version string
	// Parallel is how many nodes are worked on at once.
	Parallel int
	// Unattended tells that nobody has typed the command.
	Unattended bool
	// Points, when set, is told how far each step is: "begin", "effect" when it has taken effect and is not yet
	// remembered, "done". Tests kill the process there.
	Points func(where, step string)
	// forgets leaves out checkpoints.
	forgets bool
}
