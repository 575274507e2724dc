package cephstorage

import (
	"context"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Init returns the change that makes a group the storage group and its online nodes a Ceph cluster.
func (s *Storage) Init(group, command string) control.Change {
	return control.Change{
		Kind: "init-distributed-storage", Target: group, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planInit(ctx, group, memory)
		},
	}
}

func (s *Storage) planInit(ctx context.Context, group string, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "make group " + group + " the storage group"}
	v, err := s.observe(ctx, func(n control.Node, _ state.Storage) bool { return n.Group == group && !n.Offline })
	if err != nil {
		return nil, err
	}
	if !checkGroup(plan, v, group) {
		return plan, nil
	}
	for _, n := range v.cluster.Members(group) {
		if n.Offline {
			plan.Note("%s is offline and left out; \"cephctl node add --readd %s\" makes it a member later", n.Name, n.Name)
		}
	}
	b := &builder{Storage: s, v: v, plan: plan}
	members := v.members(group)
	if len(members) == 0 {
		b.markEmpty(group)
		return plan, nil
	}
	return plan, b.bringUp(group, members, nil, memory)
}

// checkGroup adds the reasons why a group can't be the storage group.
func checkGroup(plan *control.Plan, v *view, group string) bool {
	if _, ok := v.cluster.Group(group); !ok {
		plan.Block("", "unknown-group", "see \"cephctl group list\"", "there is no group %s", group)
	}
	for _, g := range v.cluster.Groups {
		if g.Mark != "" && g.Name != group {
			plan.Block("", "other-storage-group", "there is one storage group in a cluster", "group %s is the storage group already", g.Name)
		}
	}
	if own := v.state.Group; own != "" && own != group && v.state.ID != "" && len(plan.Blockers) == 0 {
		plan.Block("", "other-storage-group", "finish that, or take down what was made: cephctl storage destroy",
			"making the storage cluster was begun with group %s", own)
	}
	return len(plan.Blockers) == 0
}

// markEmpty plans for a group without nodes: it is only marked. The first node that is added makes the cluster.
func (b *builder) markEmpty(group string) {
	b.plan.Note("group %s has no online node: it is only marked, and the first node added to it makes the cluster", group)
	if g, _ := b.v.cluster.Group(group); g.Mark != Name || b.v.state.Group != group {
		b.g = &goal{group: group}
		b.step(b.markGroupOnly(group, false))
	}
}

// bringUp plans what makes the members of the storage group a Ceph cluster, or what they lack of it. Those that are away
// are left as they are.
func (b *builder) bringUp(group string, members, away []*nodeView, memory *control.Memory) error {
	v := b.v
	fsid := v.state.ID
	if fsid == "" {
		fsid = memory.Keep("fsid", control.NewUUID)
	}
	b.checkCluster(fsid)
	b.checkMaster(fsid, members)
	checkMembers(b.plan, v, members, fsid, memory)
	if len(b.plan.Blockers) > 0 {
		return nil
	}
	var err error
	b.g, err = setGoal(v, group, fsid, append(slices.Clone(members), away...), memory)
	if err != nil || len(b.plan.Blockers) > 0 {
		return err
	}
	b.noteSize()
	b.converge()
	return nil
}

// checkCluster adds the reasons why the cluster can't be asked or is not ours.
func (b *builder) checkCluster(fsid string) {
	v := b.v
	switch {
	case v.ceph != nil && v.ceph.quorum.Monmap.FSID != fsid:
		b.plan.Block(v.master.Name, "foreign-conf", "nothing is overwritten; if that cluster is gone, move the file away",
			"%s belongs to another Ceph cluster (fsid %s)", defaultConfig, v.ceph.quorum.Monmap.FSID)
	case v.ceph == nil && b.isInitialised():
		b.plan.Block(v.master.Name, "no-answer", "see \"cephctl storage status\"", "the Ceph cluster does not answer: %v", v.cephErr)
	}
}

// checkMaster adds the reasons why the master, where it is no member, can't have the cluster's ceph.conf, or speak to it.
func (b *builder) checkMaster(fsid string, members []*nodeView) {
	m := b.v.master
	switch {
	case slices.Contains(members, m):
	case m.err != nil:
		b.plan.Block(m.Name, "node-unreachable", "", "%v", m.err)
	case b.v.ceph == nil: // else checkCluster has looked
		checkConf(b.plan, m, fsid)
		checkTools(b.plan, m)
	}
}

// noteSize tells when there are fewer hosts or OSDs than copies.
func (b *builder) noteSize() {
	size, osds := b.g.options.Size, b.wantedOSDs()
	if osds < size {
		b.plan.Note("there will be %d OSDs and pools keep %d copies: placement groups stay undersized until there are more", osds, size)
	}
	if b.g.hosts() < size {
		b.plan.Note("there are %d hosts and pools keep %d copies: copies are kept on different OSDs, not on different hosts, until there are enough hosts",
			b.g.hosts(), size)
	}
	if b.isShort() {
		b.plan.Note("nothing can be stored until there are places for %d copies (min_size)", b.g.options.MinSize)
	}
	if len(b.g.mons) < 3 {
		b.plan.Note("%d mon: the cluster stands still when its node does; from three nodes on there are three mons", len(b.g.mons))
	}
}
