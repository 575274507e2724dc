package cephstorage

import (
	"context"
	"fmt"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// markNode is a step that marks a node as a member, online.
func (b *builder) markNode(n *nodeView) control.Step {
	return control.Step{
		ID: "mark " + n.Name, Node: b.v.master.Name, Title: "mark node " + n.Name + " as enabled for " + Name,
		Commands: []string{"inventory: node " + n.Name + " is online and enabled for " + Name}, Refusable: true,
		Do: func(ctx context.Context, _ func(string)) error {
			if n.Offline {
				if err := b.env.Inventory.SetOffline(ctx, n.Name, false); err != nil {
					return err
				}
			}
			return control.Halfway(b.env.Inventory.MarkNode(ctx, n.Name, Name))
		},
	}
}

// markGroup is the last step of init: the storage cluster stands.
func (b *builder) markGroup() control.Step {
	step := b.markGroupOnly(b.g.group, len(b.g.members) > 0)
	mark := step.Do
	step.Do = func(ctx context.Context, progress func(string)) error {
		if err := b.removeFirstKeys(); err != nil {
			return err
		}
		return mark(ctx, progress)
	}
	return step
}

// markGroupOnly is a step that marks the storage group.
func (b *builder) markGroupOnly(group string, initialised bool) control.Step {
	return control.Step{
		ID: "mark group " + group, Node: b.v.master.Name, Title: "mark group " + group + " as the storage group",
		Commands: []string{"inventory: group " + group + " is enabled for " + Name},
		Do: func(ctx context.Context, _ func(string)) error {
			if err := b.env.Inventory.MarkGroup(ctx, group, Name); err != nil {
				return err
			}
			return b.remember(func(st *state.Storage) {
				st.Group = group
				if initialised {
					st.ID, st.Initialised = b.g.fsid, time.Now().UTC().Truncate(time.Second)
				}
			})
		},
	}
}

// remember changes what the state file says of this storage type.
func (s *Storage) remember(change func(*state.Storage)) error {
	err := s.env.Store.Update(func(st *state.State) error {
		if st.Storage == nil {
			st.Storage = map[string]*state.Storage{}
		}
		if st.Storage[Name] == nil {
			st.Storage[Name] = &state.Storage{}
		}
		change(st.Storage[Name])
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember the storage cluster: %w", err)
	}
	return nil
}
