package cephstorage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Destroy returns the change that takes the whole storage cluster down, with all data. Unless force is set, images stand
// in its way.
func (s *Storage) Destroy(force bool, command string) control.Change {
	return control.Change{
		Kind: "destroy", Target: Name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planDestroy(ctx, force, memory)
		},
	}
}

func (s *Storage) planDestroy(ctx context.Context, force bool, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "take the storage cluster down"}
	v, err := s.observe(ctx, func(m control.Node, st state.Storage) bool {
		return st.Group != "" && (m.Group == st.Group || slices.Contains(st.Clients, m.Group))
	})
	if err != nil {
		return nil, err
	}
	fsid := v.state.ID
	if fsid == "" {
		fsid = memory.Get("fsid")
	}
	memory.Keep("fsid", func() string { return fsid })
	b := &builder{Storage: s, v: v, plan: plan, g: &goal{fsid: fsid, group: v.state.Group}}
	if v.state.Group == "" {
		return plan, nil
	}
	if !force && memory.Get("begun") == "" {
		b.checkImages(ctx)
	}
	memory.Keep("begun", yes)
	for _, n := range v.members(v.state.Group) {
		switch {
		case n.err == nil:
		case n.isApart():
			plan.Note("%s does not answer, and has nothing of the storage cluster: it is left as it is", n.Name)
		default:
			plan.Block(n.Name, "node-unreachable", b.removal(n), "%v", n.err)
		}
	}
	if len(plan.Blockers) > 0 {
		return plan, nil
	}
	plan.Destroys = []string{"Ceph cluster " + fsid + " with all pools, images and their data", "the devices of all OSDs of group " + v.state.Group + " are wiped"}
	b.destroy()
	return plan, nil
}

// removal says how a node leaves that does not answer. Without the cluster nobody can prove that it is dead.
func (b *builder) removal(n *nodeView) string {
	switch {
	case n.isUp():
		return "" // it says itself what is wrong
	case b.v.ceph == nil:
		return "bring it back, or if it is gone for good: cephctl node remove --force " + n.Name
	}
	return "remove it first: cephctl node remove --dead " + n.Name
}

// isApart tells of a node that it does not answer, and need not: it has left the storage cluster before.
func (n *nodeView) isApart() bool { return n.err != nil && n.Offline && n.Mark == "" }

// checkImages adds a blocker for every pool that holds images, or may hold what nobody here knows of.
func (b *builder) checkImages(ctx context.Context) {
	if b.v.ceph == nil {
		if b.v.cephErr != nil && !errors.Is(b.v.cephErr, errNoCluster) && !b.v.state.Initialised.IsZero() {
			b.plan.Block("", "no-answer", "if its data is to be given up: --force", "can't tell whether images exist: %v", b.v.cephErr)
		}
		return
	}
	for _, p := range b.v.ceph.osds.Pools {
		if p.isOfMgr() {
			continue
		}
		if _, ok := p.Applications["rbd"]; !ok {
			b.plan.Block("", "pool-not-rbd", "if its data is to be given up: --force", "pool %s is not one for RBD images, and may hold data", p.Name)
			continue
		}
		images, err := b.images(ctx, p.Name)
		switch {
		case err != nil:
			b.plan.Block("", "no-answer", "if its data is to be given up: --force", "can't list the images of pool %s: %v", p.Name, err)
		case len(images) > 0:
			b.plan.Block("", "pool-has-images", "remove them first, or give them up: --force", "pool %s holds %s", p.Name, some(images))
		}
	}
}

func (b *builder) destroy() {
	for _, n := range b.v.members(b.g.group) {
		if n.isApart() {
			continue
		}
		removal := node.Removal{FSID: b.g.fsid, Data: true, Everything: true}
		for _, d := range n.facts.Daemons {
			if n.isOf(d, b.g.fsid) {
				removal.Daemons = append(removal.Daemons, d.Daemon)
			}
		}
		removal.HalfMade = b.halfMade(n, b.g.fsid, removal.Daemons)
		if len(removal.Daemons)+len(removal.HalfMade) > 0 || n.facts.Conf != nil && n.facts.Conf.FSID == b.g.fsid {
			step := b.removeStep(n, "destroy "+n.Name, "remove all daemons and their data", removal)
			step.Together = "destroy"
			b.step(step)
		}
	}
	b.destroyClients()
	if m := b.v.master; b.v.nodes[m.Name] == nil && m.facts.Conf != nil && m.facts.Conf.FSID == b.g.fsid {
		b.step(b.removeStep(m, "destroy master", "remove ceph.conf and the keyrings", node.Removal{FSID: b.g.fsid, Everything: true}))
	}
	for _, n := range b.v.members(b.g.group) {
		if n.Mark != "" {
			b.step(control.Step{
				ID: "unmark " + n.Name, Node: b.v.master.Name, Title: "take the mark off node " + n.Name,
				Commands: []string{"inventory: node " + n.Name + " is enabled for nothing"},
				Do:       func(ctx context.Context, _ func(string)) error { return b.env.Inventory.MarkNode(ctx, n.Name, "") },
			})
		}
	}
	b.step(b.unmarkGroup())
}

// halfMade returns the OSDs on the devices of a node that are ours and none of its daemons: making them was broken off.
func (b *builder) halfMade(n *nodeView, fsid string, daemons []node.Daemon) []node.OSD {
	options, err := b.v.optionsOf(n.Name)
	if err != nil {
		return nil // then there was never one
	}
	var osds []node.OSD
	for _, d := range n.facts.Devices {
		if d.OSD == nil || slices.Contains(daemons, node.Daemon{Role: node.RoleOSD, ID: strconv.Itoa(d.OSD.ID)}) {
			continue
		}
		if slices.ContainsFunc(n.facts.Daemons, func(f node.DaemonFacts) bool { return f.FSID != "" && f.UUID == d.OSD.UUID }) {
			continue // what its label or tags say of its number is not so
		}
		known := b.v.ceph != nil && b.v.ceph.osds.byUUID(d.OSD.UUID) != nil
		if d.OSD.FSID == fsid || d.OSD.FSID == "" && known {
			osds = append(osds, node.OSD{ID: d.OSD.ID, UUID: d.OSD.UUID, Device: d.Path, Backend: options.Backend})
		}
	}
	return osds
}

func (b *builder) unmarkGroup() control.Step {
	return control.Step{
		ID: "unmark group " + b.g.group, Node: b.v.master.Name, Title: "take the mark off group " + b.g.group,
		Commands: []string{"inventory: group " + b.g.group + " is enabled for nothing"},
		Do: func(ctx context.Context, _ func(string)) error {
			if err := b.removeFirstKeys(); err != nil {
				return err
			}
			if err := os.Remove(b.path(defaultKeyring)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the admin's key: %w", err)
			}
			if err := b.env.Inventory.MarkGroup(ctx, b.g.group, ""); err != nil {
				return err
			}
			return b.remember(func(st *state.Storage) { *st = state.Storage{Options: st.Options, Nodes: st.Nodes} })
		},
	}
}
