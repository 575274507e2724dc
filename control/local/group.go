package local

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// AddGroup adds a group without nodes.
func (i *Inventory) AddGroup(ctx context.Context, name string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		if err := validName("group", name); err != nil {
			return err
		}
		if _, ok := c.Group(name); ok {
			return fmt.Errorf("group %s %w", name, control.ErrExists)
		}
		c.Groups = append(c.Groups, control.Group{Name: name})
		return nil
	})
}

// RemoveGroup removes a group without nodes. The last group stays.
func (i *Inventory) RemoveGroup(ctx context.Context, name string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		at, err := findGroup(c, name)
		if err != nil {
			return err
		}
		if members := c.Members(name); len(members) > 0 {
			return fmt.Errorf("group %s has nodes (%s): move them to another group first",
				name, strings.Join(nodeNames(members), ", "))
		}
		if len(c.Groups) == 1 {
			return fmt.Errorf("group %s is the only one: add another first", name)
		}
		c.Groups = slices.Delete(c.Groups, at, at+1)
		return nil
	})
}

// AssignNodes moves nodes into a group: all of them, or with an error none.
func (i *Inventory) AssignNodes(ctx context.Context, group string, nodes ...string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		if _, err := findGroup(c, group); err != nil {
			return err
		}
		for _, name := range nodes {
			at, err := findNode(c, name)
			if err != nil {
				return err
			}
			c.Nodes[at].Group = group
		}
		return nil
	})
}

// MarkGroup says that a group is enabled for a storage type, or with an empty one for none.
func (i *Inventory) MarkGroup(ctx context.Context, group, storage string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		at, err := findGroup(c, group)
		if err != nil {
			return err
		}
		c.Groups[at].Mark = storage
		return nil
	})
}

func findGroup(c *control.Cluster, name string) (int, error) {
	at := slices.IndexFunc(c.Groups, func(g control.Group) bool { return g.Name == name })
	if at < 0 {
		return 0, unknown("group", name, groupNames(c.Groups))
	}
	return at, nil
}

func groupNames(groups []control.Group) []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	return names
}
