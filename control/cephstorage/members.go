package cephstorage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// newcomer is a node that is not in the inventory yet, with storage options of its own.
type newcomer struct {
	control.Node
	options control.Values
}

// AddNode returns the change that adds a node to the inventory and, when its group is the storage group, to the Ceph
// cluster, with storage options of its own. In a client group it becomes a client.
func (s *Storage) AddNode(n control.Node, options control.Values, command string) control.Change {
	return control.Change{
		Kind: "node-add", Target: n.Name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planAdd(ctx, newcomer{Node: n, options: options}, memory)
		},
	}
}

func (s *Storage) planAdd(ctx context.Context, n newcomer, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "add node " + n.Name}
	cluster, err := s.env.Inventory.Cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	_, exists := cluster.Node(n.Name)
	if exists && memory.Get("adding") == "" {
		plan.Block(n.Name, "node-exists", "to bring it back: cephctl node add --readd "+n.Name, "is in the inventory already")
		return plan, nil
	}
	g, ok := cluster.Group(n.Group)
	if !ok {
		return nil, fmt.Errorf("group %s: %w: see \"cephctl group list\"", n.Group, control.ErrUnknown)
	}
	memory.Keep("adding", yes)
	n.Offline = n.Offline || g.Mark == Name // until it has become what it is to be
	v, err := s.observe(ctx, func(m control.Node, st state.Storage) bool {
		return m.Name == n.Name || m.Group == st.Group && !m.Offline
	}, n)
	if err != nil {
		return nil, err
	}
	b := &builder{Storage: s, v: v, plan: plan}
	if !exists {
		v.nodes[n.Name].entering = true
		b.step(b.enter(n.Node))
	}
	if len(n.options) > 0 {
		b.step(b.rememberOptions(n.Name, v.state.Nodes[n.Name]))
	}
	return plan, b.join(v.nodes[n.Name], memory)
}

// enter is a step that puts a node into the inventory.
func (b *builder) enter(n control.Node) control.Step {
	return control.Step{
		ID: "enter " + n.Name, Node: b.v.master.Name, Title: "put node " + n.Name + " into the inventory",
		Commands: []string{"inventory: node " + n.Name + " in group " + n.Group}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error {
			err := b.env.Inventory.AddNode(ctx, n)
			if errors.Is(err, control.ErrExists) {
				return nil // by the run that was interrupted here
			}
			return err
		},
	}
}

// rememberOptions is a step that gives a node storage options of its own.
func (b *builder) rememberOptions(name string, options control.Values) control.Step {
	return control.Step{
		ID: "options " + name, Node: b.v.master.Name, Title: "store the storage options of " + name,
		Commands: []string{"state: " + Name + " on " + name + ": " + control.OptionWords(Type{}, options, "")},
		Do: func(context.Context, func(string)) error {
			return b.remember(func(st *state.Storage) { st.SetNode(name, options) })
		},
	}
}

// Readd returns the change that brings an offline node back and, when its group is the storage group, makes it a member
// of the Ceph cluster, or in a client group a client.
func (s *Storage) Readd(name, command string) control.Change {
	return control.Change{
		Kind: "node-readd", Target: name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planReadd(ctx, name, memory)
		},
	}
}

func (s *Storage) planReadd(ctx context.Context, name string, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "bring " + name + " back"}
	v, err := s.observe(ctx, func(m control.Node, st state.Storage) bool {
		return m.Name == name || m.Group == st.Group && !m.Offline
	})
	if err != nil {
		return nil, err
	}
	n := v.nodes[name]
	if n == nil {
		return nil, fmt.Errorf("node %s: %w: see \"cephctl node list\"", name, control.ErrUnknown)
	}
	b := &builder{Storage: s, v: v, plan: plan}
	return plan, b.join(n, memory)
}

// join plans how a node becomes what its group is: a member of the storage cluster, a client of it, or just online.
func (b *builder) join(n *nodeView, memory *control.Memory) error {
	g, _ := b.v.cluster.Group(n.Group)
	// Anybody can take the mark of a group away.
	if isStorage := b.v.state.Group == g.Name && !b.v.state.Initialised.IsZero(); g.Mark != Name && !isStorage {
		if err := b.joinClients(n, g.Name); err != nil {
			return err
		}
		if n.Offline {
			b.step(b.setOnline(n.Node))
		}
		return nil
	}
	members := b.v.members(g.Name)
	for _, m := range members {
		if m != n && m.err != nil {
			b.plan.Note("%s does not answer and is left as it is: %v", m.Name, m.err)
		}
	}
	away := keep(members, func(m *nodeView) bool { return m != n && m.err != nil })
	members = keep(members, func(m *nodeView) bool { return m == n || m.err == nil })
	return b.bringUp(g.Name, members, away, memory)
}

// setOnline is a step that marks a node online in the inventory.
func (b *builder) setOnline(n control.Node) control.Step {
	return control.Step{
		ID: "online " + n.Name, Node: b.v.master.Name, Title: "mark node " + n.Name + " online",
		Commands: []string{"inventory: node " + n.Name + " is online"}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error { return b.env.Inventory.SetOffline(ctx, n.Name, false) },
	}
}

func keep[T any](list []T, ok func(T) bool) []T {
	var out []T
	for _, x := range list {
		if ok(x) {
			out = append(out, x)
		}
	}
	return out
}

// RemoveOptions say how a node is removed from the inventory.
type RemoveOptions struct {
	// Force removes a node that is part of the storage cluster.
	Force bool
}

// RemoveNode returns the change that takes a node out of the inventory. A node that is part of the storage cluster has to
// be offline first.
func (s *Storage) RemoveNode(name, command string, opts RemoveOptions) control.Change {
	return control.Change{
		Kind: "node-remove", Target: name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planRemove(ctx, name, opts, memory)
		},
	}
}

func (s *Storage) planRemove(ctx context.Context, name string, opts RemoveOptions, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "remove node " + name}
	v, err := s.observe(ctx, func(m control.Node, _ state.Storage) bool { return m.Name == name })
	if err != nil {
		return nil, err
	}
	b := &builder{Storage: s, v: v, plan: plan}
	n := v.nodes[name]
	switch {
	case n == nil && memory.Get("removing") != "":
		b.forgetOptions(name) // the run that was interrupted has done the rest
		return plan, nil
	case n == nil:
		return nil, fmt.Errorf("node %s: %w: see \"cephctl node list\"", name, control.ErrUnknown)
	}
	memory.Keep("removing", yes)
	if v.cluster.Master == name {
		plan.Block(name, "node-is-master", "run this on another node", "is the node that this runs on")
	}
	switch why := b.carries(n); {
	case why == "" && !opts.Force && v.ceph == nil && n.err != nil && n.Group == v.state.Group && !v.state.Initialised.IsZero():
		plan.Block(name, "no-answer", "bring one of them back, or if it is gone for good: cephctl node remove --force "+name,
			"is in the storage group, and neither it nor the Ceph cluster tells what it carries: %v", v.cephErr)
	case why != "":
		if opts.Force {
			plan.Note("warning: %s is part of distributed storage (%s); it is removed from the inventory all the same, and what runs on it goes on", name, why)
		} else {
			plan.Block(name, "node-in-storage", n.howToFree("mark it offline first"), "is part of distributed storage: %s", why)
		}
	}
	b.forget(n.Node)
	return plan, nil
}

// howToFree says how a node comes to carry nothing: as first has it, or when it is offline already and its OSDs keep their data.
func (n *nodeView) howToFree(first string) string {
	if n.Offline {
		first = "it is offline, and its data has to move first"
	}
	return first + ": cephctl node modify --offline=yes " + n.Name
}

// carries says what makes a node part of the storage cluster, or nothing.
func (b *builder) carries(n *nodeView) string {
	c, host := b.v.ceph, n.host()
	if c != nil && n.err != nil {
		host = cmp.Or(c.hostAt(n.Address), host)
	}
	own := keep(n.facts.Daemons, func(d node.DaemonFacts) bool { return b.v.state.ID != "" && (d.FSID == "" || d.FSID == b.v.state.ID) })
	switch {
	case len(own) > 0:
		return "it carries " + daemonNames(own)
	case n.Mark != "":
		return "it is marked for " + n.Mark
	case c != nil && len(c.tree.osdsOf(host)) > 0:
		return "the cluster has " + names(c.tree.osdsOf(host)) + " on it"
	case c != nil && slices.Contains(c.quorum.names(), host) && n.Group == b.v.state.Group:
		return "the cluster has mon." + host + " on it"
	}
	return ""
}

// Assign returns the change that moves nodes into a group. Nothing is configured on them, but that those which are online
// become clients in a client group.
func (s *Storage) Assign(group string, nodes []string, command string) control.Change {
	return control.Change{
		Kind: "assign-nodes", Target: group, Command: command,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			return s.planAssign(ctx, group, nodes)
		},
	}
}

func (s *Storage) planAssign(ctx context.Context, group string, nodes []string) (*control.Plan, error) {
	plan := &control.Plan{Title: "assign nodes to group " + group}
	wanted := map[string]bool{}
	for _, name := range nodes {
		wanted[name] = true
	}
	v, err := s.observe(ctx, func(m control.Node, _ state.Storage) bool { return wanted[m.Name] })
	if err != nil {
		return nil, err
	}
	g, ok := v.cluster.Group(group)
	if !ok {
		return nil, fmt.Errorf("group %s: %w: see \"cephctl group list\"", group, control.ErrUnknown)
	}
	b := &builder{Storage: s, v: v, plan: plan}
	for _, name := range nodes {
		n := v.nodes[name]
		if n == nil {
			return nil, fmt.Errorf("node %s: %w: see \"cephctl node list\"", name, control.ErrUnknown)
		}
		if n.Group != group {
			b.assign(n, g)
		}
		if n.Offline {
			continue // add --readd makes it what its group is
		}
		if err := b.joinClients(n, group); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

func (b *builder) assign(n *nodeView, to control.Group) {
	from, _ := b.v.cluster.Group(n.Group)
	if to.Mark != "" && !n.Offline {
		b.plan.Block(n.Name, "assign-online", fmt.Sprintf("cephctl node modify --offline=yes %s, then assign it, then cephctl node add --readd %s", n.Name, n.Name),
			"only an offline node can be assigned to the storage group %s", to.Name)
	}
	if why := b.carries(n); from.Mark != "" && why != "" {
		b.plan.Block(n.Name, "assign-carries", n.howToFree("take it offline first"),
			"can't leave the storage group %s: %s", from.Name, why)
	}
	uses := to.Name == b.v.state.Group || slices.Contains(b.v.state.Clients, to.Name)
	if slices.Contains(b.v.state.Clients, n.Group) && !uses {
		b.plan.Note("%s keeps ceph.conf and the keys of the storage cluster, which cephctl no longer looks after: on it, rm /etc/ceph/ceph.*.keyring /etc/ceph/ceph.conf", n.Name)
	}
	b.step(control.Step{
		ID: "assign " + n.Name, Node: b.v.master.Name, Title: "move node " + n.Name + " to group " + to.Name,
		Commands: []string{"inventory: node " + n.Name + " in group " + to.Name}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error {
			return b.env.Inventory.AssignNodes(ctx, to.Name, n.Name)
		},
	})
}
