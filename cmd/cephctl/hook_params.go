package main

import (
	"context"
	"encoding/json"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/hooks"
)

// What Ganeti calls the changes of disk parameters.
const (
	opGroupModify   = "OP_GROUP_SET_PARAMS"
	opClusterModify = "OP_CLUSTER_SET_PARAMS"
)

// beforeParams refuses disk parameters that say where images are, under instances that have some. A hook is not told which
// parameters are to change: the job that it belongs to is looked at. Where that can't be, Ganeti goes on, and afterParams
// tells.
func (a *app) beforeParams(ctx context.Context, in *outlined, event hooks.Event) error {
	ops, err := in.Running(ctx, event.OpCode)
	if err != nil {
		return err
	}
	var moved []control.Blocker
	for _, op := range ops {
		if len(op.DiskParams) == 0 {
			continue
		}
		o, err := in.Outline(ctx)
		if err != nil {
			return err
		}
		moved = append(moved, a.movedBy(o, op, event)...)
	}
	return vetoBy(moved)
}

// movedBy lists the groups whose instances an operation would have looked for elsewhere.
func (a *app) movedBy(o *ganeti.Outline, op ganeti.Op, event hooks.Event) []control.Blocker {
	only := ""
	if event.OpCode == opGroupModify {
		g, ok := o.Group(op.Group)
		if about, _ := o.Group(event.Group); !ok || g.UUID != about.UUID {
			return nil // of another job
		}
		only = g.Name
	}
	var moved []control.Blocker
	for _, t := range a.diskTemplates() {
		for _, option := range t.Options() {
			value, given := op.DiskParams[t.Name()][option.Name]
			if !option.Fixed || !given {
				continue
			}
			for _, g := range o.Groups {
				_, own := g.DiskParams[t.Name()][option.Name]
				if only == "" && own || only != "" && only != g.Name {
					continue
				}
				users := o.InstancesOf(g.Name, t.Name())
				if len(users) > 0 && becomes(o, only != "", t.Name(), option.Name, value) != o.Param(g, t.Name(), option.Name) {
					moved = append(moved, movesDisks(option.Name, t.Name(), g.Name, users))
				}
			}
		}
	}
	return moved
}

// becomes is the new value of a disk parameter. With "default", a group takes that of the cluster; for the cluster, that is a
// value like any other.
func becomes(o *ganeti.Outline, ofGroup bool, template, name string, value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil || ofGroup && text == "default" {
		return o.DiskParams.Text(template, name)
	}
	return text
}

// afterParams tells that nobody has looked at what was changed.
func afterParams(ctx context.Context, in *outlined, event hooks.Event) error {
	if _, err := in.Running(ctx, event.OpCode); err != nil {
		return notSeen(err)
	}
	return nil
}

// notSeen is what Ganeti's user is told when nobody could look at new disk parameters.
func notSeen(err error) veto {
	return veto("cephctl could not look whether this moves the disks of instances: " + err.Error() +
		": if it does, change it back: gnt-group info")
}
