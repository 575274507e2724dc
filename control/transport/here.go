package transport

import (
	"net"
	"net/netip"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/host"
)

// isHere says whether a node is this host: by its name or by its address.
func (t *Transport) isHere(node control.Node) bool {
	if host.Same(node.Name, t.options.Host) {
		return true
	}
	address, err := netip.ParseAddr(node.Address)
	if err != nil {
		return host.Same(node.Address, t.options.Host)
	}
	return isOurs(address)
}

// isOurs looks at the addresses of this host anew each time: they may have changed.
func isOurs(address netip.Addr) bool {
	ours, err := net.InterfaceAddrs()
	if err != nil {
		return false // then ssh finds the way, or says why not
	}
	for _, a := range ours {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == address.Unmap() {
			return true
		}
	}
	return false
}
