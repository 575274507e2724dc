package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// RemoveClient returns the change that undoes AddClient: ceph.conf and keys are taken off the nodes of a group, and the group
// is forgotten as a client.
func (s *Storage) RemoveClient(group, command string) control.Change {
	return control.Change{
		Kind: "remove-client", Target: group, Command: command,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			return s.planRemoveClient(ctx, group)
		},
	}
}

func (s *Storage) planRemoveClient(ctx context.Context, group string) (*control.Plan, error) {
	plan := &control.Plan{Title: "make group " + group + " no client of the storage cluster any more"}
	v, err := s.observe(ctx, func(n control.Node, _ state.Storage) bool { return n.Group == group })
	if err != nil {
		return nil, err
	}
	known := slices.Contains(v.state.Clients, group)
	switch _, exists := v.cluster.Group(group); {
	case !exists && !known:
		return nil, fmt.Errorf("group %s: %w: see \"cephctl group list\"", group, control.ErrUnknown)
	case group == v.state.Group:
		plan.Block("", "client-is-storage-group", "name another group", "group %s is the storage group: its nodes need what clients have", group)
		return plan, nil
	case !known:
		return plan, nil
	}
	b := &builder{Storage: s, v: v, plan: plan}
	for _, n := range v.members(group) {
		b.releaseClient(ctx, n)
	}
	b.step(s.ForgetClient(v.master.Name, group))
	return plan, nil
}

// releaseClient plans that a node is no client any more, or why it has to stay one.
func (b *builder) releaseClient(ctx context.Context, n *nodeView) {
	if users := b.users(n.Name); len(users) > 0 {
		b.plan.Block(n.Name, "client-has-instances", "move them to other nodes, or remove them: cephctl instance list", "instances have disks in the storage cluster: %s", strings.Join(users, ", "))
	}
	switch {
	case n.Name == b.v.master.Name:
		b.plan.Note("%s is the master and keeps what it has: cephctl needs it", n.Name)
	case n.err != nil && n.Offline:
		b.plan.Note("%s is offline and does not answer: its ceph.conf and keyrings are left on it", n.Name)
	case n.err != nil:
		b.plan.Block(n.Name, "node-unreachable", "if it is gone for good: cephctl node remove "+n.Name, "%v", n.err)
	case n.facts.Conf != nil && n.facts.Conf.FSID == b.v.state.ID:
		b.checkMapped(ctx, n)
		step := b.removeStep(n, "release "+n.Name, "remove ceph.conf and the keyrings", node.Removal{FSID: b.v.state.ID, Everything: true})
		step.Together = "release"
		b.step(step)
	}
}

// users are the instances of a node that have disks in the storage cluster, whether they run or not: they could not be
// started any more.
func (b *builder) users(name string) []string {
	var users []string
	for _, i := range b.v.cluster.Instances {
		if i.Node == name && slices.ContainsFunc(i.Disks, func(d control.Disk) bool { return d.Template == TemplateName }) {
			users = append(users, i.Name)
		}
	}
	return users
}

// checkMapped adds a blocker for images that the node's kernel has, by whomever.
func (b *builder) checkMapped(ctx context.Context, n *nodeView) {
	var facts loopcheck.Facts
	question := control.Question{Part: loopcheck.Name, Action: agent.ActionObserve, Payload: loopcheck.Query{}, Timeout: observeTimeout}
	if err := b.env.Ask(ctx, n.Node, question, &facts, nil); err != nil {
		b.plan.Block(n.Name, "node-unreachable", "", "can't tell which images are mapped: %v", err)
		return
	}
	var devices []string
	for i := range facts.Mappings {
		if m := &facts.Mappings[i]; m.FSID == "" || m.FSID == b.v.state.ID {
			devices = append(devices, fmt.Sprintf("%s/%s (/dev/%s)", m.Pool, m.Image, m.Device))
		}
	}
	if len(devices) > 0 {
		b.plan.Block(n.Name, "client-has-images", "unmap them: rbd device unmap, or what has mapped them", "images are mapped: %s", strings.Join(devices, ", "))
	}
}

// ForgetClient returns a step on the master that forgets that a group is a client of the storage cluster.
func (s *Storage) ForgetClient(master, group string) control.Step {
	return control.Step{
		ID: "forget client group " + group, Node: master, Title: "forget that group " + group + " is a client",
		Commands: []string{"state: the nodes of group " + group + " are no clients of the storage cluster"},
		Do: func(context.Context, func(string)) error {
			return s.remember(func(st *state.Storage) { st.RemoveClient(group) })
		},
	}
}
