package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// network is a bridge of the host and a subnet, in which the host has the address .1.
type network struct {
	// Bridge is also how the names of its ports begin.
	Bridge string
	// Prefix is the first three numbers of the subnet, which has 24 bits.
	Prefix string
}

// networkCleanup is the shell script that removes the network. Its ports go with their namespaces, but later.
func networkCleanup(bridge string) string {
	return fmt.Sprintf(`for port in /sys/class/net/%[1]s*; do
	[ ! -e "$port" ] || ip link delete "${port##*/}" || [ ! -e "$port" ] || exit 1
done
`, bridge)
}

// newNetwork makes a bridge with a subnet that no other has. They come from 198.18.0.0/15, which is set apart for tests
// of networks. Who adds the route has the subnet: the kernel takes it once.
func newNetwork(ctx context.Context, group *group, bridge string) (*network, error) {
	for _, args := range []string{"add name " + bridge + " type bridge", "set " + bridge + " up"} {
		if _, err := group.run(ctx, "ip", append([]string{"link"}, strings.Fields(args)...)...); err != nil {
			return nil, fmt.Errorf("make bridge: %w", err)
		}
	}
	for _, n := range rand.Perm(512) {
		prefix := fmt.Sprintf("198.%d.%d", 18+n/256, n%256)
		_, err := group.run(ctx, "ip", "route", "add", prefix+".0/24", "dev", bridge)
		if err != nil && strings.Contains(err.Error(), "File exists") {
			continue
		}
		if err == nil {
			_, err = group.run(ctx, "ip", "address", "add", prefix+".1/24", "dev", bridge, "noprefixroute")
		}
		if err != nil {
			return nil, fmt.Errorf("make subnet: %w", err)
		}
		return &network{Bridge: bridge, Prefix: prefix}, nil
	}
	return nil, errors.New("make subnet: all of 198.18.0.0/15 are taken")
}

// address returns the address of the node with this number, from 1 on.
func (n *network) address(number int) string { return fmt.Sprintf("%s.%d", n.Prefix, 10+number) }

// mac returns the hardware address of the node with this number. It stays the same, so that the other nodes find the
// node at once after its reboot.
func (n *network) mac(number int) string { return fmt.Sprintf("02:00:00:00:00:%02x", number) }

// port returns the name of the host's end of a node's network.
func (n *network) port(number int) string { return fmt.Sprintf("%s-%d", n.Bridge, number) }

// CutNetwork takes the node off the network, as when its cable is pulled, until RestoreNetwork; also when it boots in
// between.
func (n *Node) CutNetwork(ctx context.Context) error { return n.setNetwork(ctx, true) }

// RestoreNetwork puts the node back on the network.
func (n *Node) RestoreNetwork(ctx context.Context) error { return n.setNetwork(ctx, false) }

func (n *Node) setNetwork(ctx context.Context, cut bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	if n.machine == nil {
		return nil
	}
	if _, err := n.lab.group.run(ctx, "ip", "link", "set", n.port(), n.link()); err != nil {
		return fmt.Errorf("set network of %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) port() string { return n.lab.network.port(n.number) }

// link is what the state of the port has to be.
func (n *Node) link() string {
	if n.cut {
		return "down"
	}
	return "up"
}
