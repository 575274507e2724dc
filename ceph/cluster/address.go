package cluster

import "strings"

// host returns an address such as 10.0.0.1:6789/0 without its port and nonce.
func host(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		return addr[:i]
	}
	return addr
}

// blank tells whether an OSD has no address yet. The words differ from release to release.
func blank(addr string) bool {
	return addr == "" || addr == "-" || strings.HasPrefix(addr, ":/") || strings.HasPrefix(addr, "(")
}
