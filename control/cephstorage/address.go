package cephstorage

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// errNoAddress is returned when none of a node's addresses fits.
var errNoAddress = errors.New("has no address")

// publicAddress returns the address by which a node is reached by mons and clients: the one by which the inventory knows
// the node, or else its only one. With a public network, it has to be in that, and the first that is will do.
func publicAddress(addresses []string, inventory, network string) (netip.Addr, error) {
	all, err := parseAddresses(addresses)
	if err != nil {
		return netip.Addr{}, err
	}
	if network != "" {
		return inNetwork(all, inventory, network)
	}
	if addr, err := netip.ParseAddr(inventory); err == nil {
		for _, p := range all {
			if p.Addr() == addr {
				return addr, nil
			}
		}
	}
	if len(all) == 1 {
		return all[0].Addr(), nil
	}
	if len(all) == 0 {
		return netip.Addr{}, fmt.Errorf("%w but that of loopback", errNoAddress)
	}
	return netip.Addr{}, fmt.Errorf("has several addresses (%s), and none of them is its address in the inventory", strings.Join(addresses, ", "))
}

// inClusterNetwork returns an error when none of a node's addresses is in the network of the OSDs, if there is one.
func inClusterNetwork(addresses []string, network string) error {
	if network == "" {
		return nil
	}
	all, err := parseAddresses(addresses)
	if err == nil {
		_, err = inNetwork(all, "", network)
	}
	return err
}

func inNetwork(all []netip.Prefix, inventory, networks string) (netip.Addr, error) {
	// An address that moves from node to node, such as a master's, may stand before the node's own.
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b netip.Prefix) int {
		return strings.Compare(isOther(a, inventory), isOther(b, inventory))
	})
	for network := range strings.SplitSeq(networks, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(network))
		if err != nil {
			return netip.Addr{}, fmt.Errorf("read network %q: %w", network, err)
		}
		for _, p := range all {
			if prefix.Contains(p.Addr()) {
				return p.Addr(), nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("%w in %s", errNoAddress, networks)
}

// isOther sorts the address of the inventory before others.
func isOther(p netip.Prefix, inventory string) string {
	if p.Addr().String() == inventory {
		return ""
	}
	return "other"
}

// parseAddresses reads addresses as "10.0.0.1/24". Those that only hold on one link are left out.
func parseAddresses(addresses []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, a := range addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return nil, fmt.Errorf("read address %q: %w", a, err)
		}
		if !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback() {
			out = append(out, p)
		}
	}
	return out, nil
}

// monAddresses returns the addresses of a mon with the usual ports, as Ceph writes them.
func monAddresses(addr netip.Addr) string {
	host := addr.String()
	if addr.Is6() {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("[v2:%s:3300,v1:%s:6789]", host, host)
}
