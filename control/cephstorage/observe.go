package cephstorage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// view is everything that was observed for a plan.
type view struct {
	cluster control.Cluster
	state   state.Storage
	// master is where Ceph's commands run: a node, or the host itself when it is none.
	master *nodeView
	// nodes are those that the plan is about, by name.
	nodes map[string]*nodeView
	// ceph is what the Ceph cluster says, or nil when there is none that answers; cephErr says why.
	ceph    *cephView
	cephErr error
}

// nodeView is a node as its agent describes it.
type nodeView struct {
	control.Node
	facts node.Facts
	// entering tells that it is not in the inventory yet.
	entering bool
	// err is why there are no facts.
	err error
	// asked and answered are when, by the master's clock.
	asked, answered time.Time
}

// cephView is what the Ceph cluster says of itself.
type cephView struct {
	health health
	quorum quorum
	mgrs   mgrMap
	osds   osdMap
	tree   tree
	rules  []crushRule
	config []configEntry
}

// observe looks at the inventory, at the nodes that are chosen, and at the cluster. Further nodes are treated as if they
// were in the inventory. Only what makes any plan impossible is an error.
func (s *Storage) observe(ctx context.Context, choose func(control.Node, state.Storage) bool, further ...newcomer) (*view, error) {
	return s.observeBeside(ctx, func(ctx context.Context, v *view) error {
		if err := s.observeInventory(ctx, v, choose, further); err != nil {
			return err
		}
		return s.observeNodes(ctx, v, append(slices.Collect(maps.Values(v.nodes)), v.master))
	})
}

// observeOne is observe for whoever must not wait for other nodes than one. Of those it has what the inventory says, and the
// name that the cluster has for them.
func (s *Storage) observeOne(ctx context.Context, name string) (*view, error) {
	v, err := s.observeBeside(ctx, func(ctx context.Context, v *view) error {
		err := s.observeInventory(ctx, v, func(control.Node, state.Storage) bool { return true }, nil)
		if n := v.nodes[name]; err == nil && n != nil {
			err = s.observeNodes(ctx, v, []*nodeView{n})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, n := range v.nodes {
		if n.Name != name && v.ceph != nil {
			n.facts.Host = v.ceph.hostAt(n.Address)
		}
	}
	return v, nil
}

// observeBeside looks at the cluster, which takes longest, and at the rest at the same time.
func (s *Storage) observeBeside(ctx context.Context, rest func(context.Context, *view) error) (*view, error) {
	v := &view{nodes: map[string]*nodeView{}}
	jobs, ctx := errgroup.WithContext(ctx)
	jobs.Go(func() error {
		v.ceph, v.cephErr = s.observeCeph(ctx)
		return nil
	})
	jobs.Go(func() error { return rest(ctx, v) })
	return v, jobs.Wait()
}

// observeInventory looks at the inventory, and chooses nodes of it.
func (s *Storage) observeInventory(ctx context.Context, v *view, choose func(control.Node, state.Storage) bool, further []newcomer) error {
	cluster, err := s.env.Inventory.Cluster(ctx)
	if err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	for _, n := range further {
		if _, ok := cluster.Node(n.Name); !ok {
			cluster.Nodes = append(cluster.Nodes, n.Node)
		}
	}
	// In the order that they will have once they are in the inventory: a plan that goes on places the same.
	slices.SortFunc(cluster.Nodes, func(a, b control.Node) int { return cmp.Compare(a.Name, b.Name) })
	st, err := s.env.Store.Load()
	if err != nil {
		return err
	}
	v.cluster = cluster
	if own := st.Storage[Name]; own != nil {
		v.state = *own
		v.state.Group = storageGroup(&cluster, own.Group)
	}
	for _, n := range further {
		if len(n.options) > 0 {
			v.state.Nodes = maps.Clone(v.state.Nodes) // the state is not ours
			v.state.SetNode(n.Name, control.Merge(v.state.Nodes[n.Name], n.options))
		}
	}
	for _, n := range cluster.Nodes {
		if choose(n, v.state) {
			v.nodes[n.Name] = &nodeView{Node: n}
		}
	}
	master := masterOf(&cluster)
	if v.master = v.nodes[master.Name]; v.master == nil {
		v.master = &nodeView{Node: master}
	}
	return nil
}

// storageGroup returns the name of the storage group, by the one that is remembered. One that was renamed is known by its mark
// and, where there is another group of its old name, by those of its nodes.
func storageGroup(cluster *control.Cluster, name string) string {
	known, ok := cluster.Group(name)
	if name == "" || known.Mark == Name {
		return name
	}
	for _, g := range cluster.Groups {
		isMember := func(n control.Node) bool { return n.Mark == Name }
		if g.Mark == Name && (!ok || slices.ContainsFunc(cluster.Members(g.Name), isMember)) {
			return g.Name
		}
	}
	return name
}

// masterOf returns the node that this runs on, or one that stands for this host.
func masterOf(cluster *control.Cluster) control.Node {
	if n, ok := cluster.Node(cluster.Master); ok {
		return n
	}
	return control.Node{Name: "localhost", Address: "localhost"}
}

// observeNodes looks at nodes, at each once.
func (s *Storage) observeNodes(ctx context.Context, v *view, nodes []*nodeView) error {
	jobs, ctx := errgroup.WithContext(ctx)
	jobs.SetLimit(max(1, s.env.Parallel))
	for i, n := range nodes {
		if slices.Contains(nodes[:i], n) {
			continue
		}
		jobs.Go(func() error {
			options, _ := v.optionsOf(n.Name) // what is wrong with them becomes a blocker
			n.asked = time.Now()
			n.err = s.call(ctx, n.Node, observeTimeout, "observe",
				node.Query{Devices: options.Disks, Backend: options.Backend}, &n.facts, nil)
			n.answered = time.Now()
			return context.Cause(ctx)
		})
	}
	return jobs.Wait()
}

// call has the agent of a node carry out an action of this storage type, as [control.Env.Ask] does.
func (s *Storage) call(ctx context.Context, n control.Node, timeout time.Duration, action string, payload, result any, progress func(string)) error {
	return s.env.Ask(ctx, n, control.Question{Part: Name, Action: action, Payload: payload, Timeout: timeout}, result, progress)
}

// errNoCluster is returned when this host has no configuration of Ceph's.
var errNoCluster = errors.New("there is no " + defaultConfig + " on this host")

// errNoKey is returned when this host can't speak to the Ceph cluster that it is configured for.
var errNoKey = errors.New("the admin's key is not on this host (" + defaultKeyring + "): run this on the master")

// observeCeph asks the cluster. It returns errNoCluster where none is configured.
func (s *Storage) observeCeph(ctx context.Context) (*cephView, error) {
	if _, err := os.Stat(s.path(defaultConfig)); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoCluster
	}
	c := &cephView{}
	err := s.askAll(ctx, about(&c.quorum, "quorum_status"), about(&c.health, "health", "detail"), about(&c.mgrs, "mgr", "dump"),
		about(&c.osds, "osd", "dump"), about(&c.tree, "osd", "tree"), about(&c.rules, "osd", "crush", "rule", "dump"),
		about(&c.config, "config", "dump"))
	if err != nil {
		if _, e := os.Stat(s.path(defaultKeyring)); errors.Is(e, fs.ErrNotExist) {
			return nil, errNoKey
		}
		return nil, err
	}
	return c, nil
}

// members returns the nodes of a group that were observed, in the order of their names.
func (v *view) members(group string) []*nodeView {
	var out []*nodeView
	for _, n := range v.cluster.Members(group) {
		if seen := v.nodes[n.Name]; seen != nil {
			out = append(out, seen)
		}
	}
	return out
}

// osds are the OSDs that were found on the node.
func (n *nodeView) osds() []node.OSD {
	var osds []node.OSD
	for _, d := range n.facts.Daemons {
		if id, err := strconv.Atoi(d.ID); d.Role == node.RoleOSD && err == nil {
			osds = append(osds, node.OSD{ID: id, UUID: d.UUID, Device: d.Device, Backend: d.Backend})
		}
	}
	return osds
}

// host is the name that a node has for Ceph: its short host name.
func (n *nodeView) host() string {
	if n.facts.Host != "" {
		return n.facts.Host
	}
	return hostName(n.Node)
}

// hostName is the short name of a node, as its host has it.
func hostName(n control.Node) string {
	short, _, _ := strings.Cut(n.Name, ".")
	return short
}

// daemon returns what the node says of a daemon, or nil.
func (n *nodeView) daemon(role, id string) *node.DaemonFacts {
	i := slices.IndexFunc(n.facts.Daemons, func(d node.DaemonFacts) bool { return d.Role == role && d.ID == id })
	if i < 0 {
		return nil
	}
	return &n.facts.Daemons[i]
}

// isRunning tells whether the node says that a daemon is complete and active.
func (n *nodeView) isRunning(role, id string) bool {
	d := n.daemon(role, id)
	return d != nil && d.Data && d.Active == "active"
}
