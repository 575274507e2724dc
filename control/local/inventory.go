// Package local is the inventory where there is no Ganeti: nodes and groups are kept in cephctl's own state.
package local

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/host"
)

// DefaultGroup is the group that is there from the beginning.
const DefaultGroup = "default"

// Inventory keeps nodes and groups in a store. Methods that change something need the store's lock.
type Inventory struct {
	store control.Store
	host  string
}

var _ control.Inventory = (*Inventory)(nil)

// New returns the inventory in a store. Host is the name of this host, full or short: a node of this name is the master.
func New(store control.Store, host string) *Inventory { return &Inventory{store: store, host: host} }

// Cluster returns all of it, in the order of names.
func (i *Inventory) Cluster(context.Context) (control.Cluster, error) {
	s, err := i.store.Load()
	if err != nil {
		return control.Cluster{}, err
	}
	c, err := decode(s.Inventory)
	if err != nil {
		return control.Cluster{}, err
	}
	for at := range c.Nodes {
		n := &c.Nodes[at]
		if host.Same(n.Name, i.host) {
			c.Master = n.Name
		}
		for _, instance := range c.Instances {
			if instance.Node == n.Name {
				n.InstanceMemoryBytes += instance.MemoryBytes
			}
		}
	}
	return c, nil
}

// SetName names the cluster.
func (i *Inventory) SetName(ctx context.Context, name string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		if err := validName("cluster", name); err != nil {
			return err
		}
		c.Name = name
		return nil
	})
}

// change changes the cluster and writes it, or does neither.
func (i *Inventory) change(ctx context.Context, do func(*control.Cluster) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return i.store.Update(func(s *state.State) error {
		c, err := decode(s.Inventory)
		if err != nil {
			return err
		}
		if err := do(&c); err != nil {
			return err
		}
		s.Inventory, err = encode(c)
		return err
	})
}

func decode(data json.RawMessage) (control.Cluster, error) {
	if len(data) == 0 {
		return control.Cluster{Groups: []control.Group{{Name: DefaultGroup}}}, nil
	}
	var c control.Cluster
	if err := json.Unmarshal(data, &c); err != nil {
		return control.Cluster{}, fmt.Errorf("read inventory: %w", err)
	}
	return c, nil
}

// encode sorts, and leaves out who the master is: that is found out anew on every host.
func encode(c control.Cluster) (json.RawMessage, error) {
	c.Master = ""
	slices.SortFunc(c.Groups, func(a, b control.Group) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Nodes, func(a, b control.Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Instances, func(a, b control.Instance) int { return cmp.Compare(a.Name, b.Name) })
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode inventory: %w", err)
	}
	return data, nil
}

func validName(kind, name string) error {
	good := name != "" && name[0] != '.' && name[0] != '-' && strings.IndexFunc(name, isOther) < 0
	if !good {
		return fmt.Errorf("%w: %q can't be the name of a %s: letters, digits, dots and hyphens can, with a letter or digit first",
			control.ErrUsage, name, kind)
	}
	return nil
}

// isOther says whether a name can't hold a character. Names become words of commands and file names.
func isOther(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return r != '.' && r != '-'
}
