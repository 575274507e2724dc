package cephstorage

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Status is what `cephctl storage status` shows.
type Status struct {
	// Group is the storage group, or empty; ID the fsid of its Ceph cluster.
	Group string `json:"group"`
	ID    string `json:"fsid,omitempty"`
	// Clients are the groups whose nodes use the storage cluster and run nothing of it.
	Clients []string `json:"clients,omitempty"`
	// Health is for example HEALTH_OK, or empty when the cluster does not answer: Problem says why.
	Health  string   `json:"health,omitempty"`
	Checks  []string `json:"checks,omitempty"`
	Problem string   `json:"problem,omitempty"`
	// Mons are those of the map, Quorum those that are in quorum.
	Mons   []string `json:"mons,omitempty"`
	Quorum []string `json:"quorum,omitempty"`
	// Daemons has a line for each daemon of each node.
	Daemons []DaemonStatus `json:"daemons"`
	// Operation is what was begun and not finished: the command that goes on with it.
	Operation string `json:"operation,omitempty"`
	// Next is what cephctl would do, a line each; Blockers why it can't.
	Next     []string          `json:"next,omitempty"`
	Blockers []control.Blocker `json:"blockers,omitempty"`
}

// DaemonStatus is a daemon of a node, or a node without one.
type DaemonStatus struct {
	Node   string `json:"node"`
	Role   string `json:"role,omitempty"`
	Daemon string `json:"daemon,omitempty"`
	Device string `json:"device,omitempty"`
	State  string `json:"state"`
}

// Status looks at the storage cluster. Where there is no storage group it shows the Ceph cluster that this host knows,
// if any.
func (s *Storage) Status(ctx context.Context) (*Status, error) {
	st, err := s.env.Store.Load()
	if err != nil {
		return nil, err
	}
	v, err := s.observe(ctx, func(n control.Node, st state.Storage) bool { return st.Group != "" && n.Group == st.Group })
	if err != nil {
		return nil, err
	}
	out := &Status{Group: v.state.Group, ID: v.state.ID, Clients: v.state.Clients, Daemons: []DaemonStatus{}}
	if st.Operation != nil {
		out.Operation = st.Operation.Command
	}
	out.describe(v)
	if v.state.Group == "" {
		return out, nil
	}
	for _, n := range v.members(v.state.Group) {
		out.addNode(n, v.ceph)
	}
	plan := s.next(v, st.Operation)
	out.Blockers = plan.Blockers
	for _, step := range plan.Steps {
		out.Next = append(out.Next, step.Node+": "+step.Title)
	}
	return out, nil
}

func (o *Status) describe(v *view) {
	switch {
	case v.ceph != nil:
		o.ID = v.ceph.quorum.Monmap.FSID
		o.Health, o.Mons, o.Quorum = v.ceph.health.Status, v.ceph.quorum.names(), v.ceph.quorum.Names
		for name, c := range v.ceph.health.Checks {
			o.Checks = append(o.Checks, name+": "+c.Summary.Message)
		}
		slices.Sort(o.Checks)
	case !errors.Is(v.cephErr, errNoCluster) || !v.state.Initialised.IsZero():
		o.Problem = v.cephErr.Error()
	}
}

func (o *Status) addNode(n *nodeView, c *cephView) {
	if n.err != nil {
		o.Daemons = append(o.Daemons, DaemonStatus{Node: n.Name, State: "unreachable: " + n.err.Error()})
		return
	}
	if len(n.facts.Daemons) == 0 {
		state := "runs nothing"
		if n.Offline {
			state = "offline"
		}
		o.Daemons = append(o.Daemons, DaemonStatus{Node: n.Name, State: state})
	}
	for _, d := range n.facts.Daemons {
		o.Daemons = append(o.Daemons, DaemonStatus{
			Node: n.Name, Role: d.Role, Daemon: d.String(), Device: d.Device, State: daemonState(d, c),
		})
	}
}

// daemonState says in a word or two how a daemon is: by its unit, and by what the cluster says of it.
func daemonState(d node.DaemonFacts, c *cephView) string {
	if d.Active != "active" {
		return d.Active
	}
	if c == nil {
		return "active"
	}
	switch d.Role {
	case node.RoleMon:
		if slices.Contains(c.quorum.Names, d.ID) {
			return "in quorum"
		}
		return "not in quorum"
	case node.RoleMgr:
		switch {
		case c.mgrs.Active == d.ID:
			return "active"
		case slices.Contains(c.mgrs.names(), d.ID):
			return "standby"
		}
		return "not in the map"
	}
	return osdState(d, c)
}

func osdState(d node.DaemonFacts, c *cephView) string {
	id, err := strconv.Atoi(d.ID)
	if err != nil {
		return "active"
	}
	o := c.osds.osd(id)
	switch {
	case o == nil:
		return "not in the map"
	case o.Up == 0:
		return "down"
	case o.In == 0:
		return "up, out"
	}
	return "up, in"
}

// bringing are the kinds of operations that bring members to what they are to be. While another is not finished, as when a
// node goes, that would undo it.
var bringing = []string{"init-distributed-storage", "node-add", "node-readd"}

// next returns the plan that would bring the online members to what they are to be.
func (s *Storage) next(v *view, op *state.Operation) *control.Plan {
	plan := &control.Plan{}
	b := &builder{Storage: s, v: v, plan: plan}
	members := keep(v.members(v.state.Group), func(n *nodeView) bool { return !n.Offline })
	var data map[string]string
	if op != nil {
		data = op.Data
	}
	if len(members) == 0 || v.state.Initialised.IsZero() || op != nil && !slices.Contains(bringing, op.Kind) {
		return plan
	}
	if err := b.bringUp(v.state.Group, members, nil, control.NewMemory(data)); err != nil {
		plan.Block("", "options", "", "%v", err)
	}
	return plan
}
