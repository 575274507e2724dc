package redact

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

var (
	ipv4 = regexp.MustCompile(`\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b`)
	ipv6 = regexp.MustCompile(`[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*`)
	mac  = regexp.MustCompile(`\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\b`)
)

// addresses replaces addresses by those reserved for documentation, each by the same everywhere.
type addresses struct {
	by     map[string]string
	counts Counts
}

func newAddresses() *addresses { return &addresses{by: make(map[string]string)} }

func (a *addresses) replace(s string) string {
	if strings.Count(s, ":") >= 2 {
		s = mac.ReplaceAllStringFunc(s, a.mac)
		s = replaceWords(ipv6, s, a.ipv6)
	}
	if strings.Count(s, ".") >= 3 {
		s = ipv4.ReplaceAllStringFunc(s, a.ipv4)
	}
	return s
}

// replaceWords replaces matches that are not part of a longer word.
func replaceWords(pattern *regexp.Regexp, s string, replace func(string) string) string {
	var out strings.Builder
	end := 0
	for _, m := range pattern.FindAllStringIndex(s, -1) {
		if m[0] > 0 && isWord(s[m[0]-1]) || m[1] < len(s) && isWord(s[m[1]]) {
			continue
		}
		out.WriteString(s[end:m[0]])
		out.WriteString(replace(s[m[0]:m[1]]))
		end = m[1]
	}
	out.WriteString(s[end:])
	return out.String()
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-'
}

func (a *addresses) ipv4(s string) string {
	addr, err := netip.ParseAddr(s)
	if err != nil || tellsNothing(addr) {
		return s
	}
	return a.same(s, &a.counts.IPv4, func(n int) string { return documentationIPv4(n).String() })
}

func (a *addresses) ipv6(s string) string {
	// A colon may follow that is not part of it, as between address and port, or a full stop.
	core := strings.TrimRight(s, ".")
	addr, err := netip.ParseAddr(core)
	for err != nil && strings.HasSuffix(core, ":") && !strings.HasSuffix(core, "::") {
		core = strings.TrimSuffix(core, ":")
		addr, err = netip.ParseAddr(core)
	}
	if err != nil || tellsNothing(addr) {
		return s
	}
	return a.same(addr.String(), &a.counts.IPv6, func(n int) string { return fmt.Sprintf("2001:db8::%x", n) }) + s[len(core):]
}

func (a *addresses) mac(s string) string {
	return a.same(strings.ToLower(s), &a.counts.MACs, func(n int) string {
		return fmt.Sprintf("02:00:00:%02x:%02x:%02x", n>>16&0xff, n>>8&0xff, n&0xff)
	})
}

func tellsNothing(a netip.Addr) bool { return a.IsUnspecified() || a.IsLoopback() }

// same returns what s is replaced by; one that comes for the first time gets the next number.
func (a *addresses) same(s string, count *int, make func(n int) string) string {
	if _, ok := a.by[s]; !ok {
		*count++
		a.by[s] = make(*count)
	}
	return a.by[s]
}

// documentationIPv4 returns the nth address of the three networks for documentation, and then of the one for
// benchmarks.
func documentationIPv4(n int) netip.Addr {
	const hosts = 254
	for _, network := range []string{"192.0.2.0", "198.51.100.0", "203.0.113.0"} {
		if n <= hosts {
			return plus(network, n)
		}
		n -= hosts
	}
	return plus("198.18.0.0", n)
}

func plus(network string, n int) netip.Addr {
	b := netip.MustParseAddr(network).As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
	return netip.AddrFrom4(b)
}
