package local

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// AddNode adds a node. Without an address it is reached by its name, without a group it comes into the default one.
func (i *Inventory) AddNode(ctx context.Context, node control.Node) error {
	return i.change(ctx, func(c *control.Cluster) error {
		if node.Address == "" {
			node.Address = node.Name
		}
		if node.Group == "" {
			node.Group = DefaultGroup
		}
		if err := validName("node", node.Name); err != nil {
			return err
		}
		if err := validAddress(node.Address); err != nil {
			return err
		}
		if _, ok := c.Node(node.Name); ok {
			return fmt.Errorf("node %s %w", node.Name, control.ErrExists)
		}
		if _, err := findGroup(c, node.Group); err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, node)
		return nil
	})
}

// RemoveNode removes a node.
func (i *Inventory) RemoveNode(ctx context.Context, name string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		at, err := findNode(c, name)
		if err != nil {
			return err
		}
		c.Nodes = slices.Delete(c.Nodes, at, at+1)
		return nil
	})
}

// SetOffline says whether a node is offline.
func (i *Inventory) SetOffline(ctx context.Context, node string, offline bool) error {
	return i.changeNode(ctx, node, func(n *control.Node) { n.Offline = offline })
}

// MarkNode says that a node is enabled for a storage type, or with an empty one for none.
func (i *Inventory) MarkNode(ctx context.Context, node, storage string) error {
	return i.changeNode(ctx, node, func(n *control.Node) { n.Mark = storage })
}

func (i *Inventory) changeNode(ctx context.Context, name string, do func(*control.Node)) error {
	return i.change(ctx, func(c *control.Cluster) error {
		at, err := findNode(c, name)
		if err != nil {
			return err
		}
		do(&c.Nodes[at])
		return nil
	})
}

func findNode(c *control.Cluster, name string) (int, error) {
	at := slices.IndexFunc(c.Nodes, func(n control.Node) bool { return n.Name == name })
	if at < 0 {
		return 0, unknown("node", name, nodeNames(c.Nodes))
	}
	return at, nil
}

func nodeNames(nodes []control.Node) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return names
}

// validAddress wants an IP address, or what can be a host's name.
func validAddress(address string) error {
	if _, err := netip.ParseAddr(address); err == nil {
		return nil
	}
	if err := validName("host", address); err != nil {
		return fmt.Errorf("%w: %q is neither an IP address nor the name of a host", control.ErrUsage, address)
	}
	return nil
}
