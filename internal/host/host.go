// Package host tells whether a name is that of this host.
package host

import "strings"

// Same says whether two names are of the same host. A name without a domain is the same as one with it: Ganeti's nodes
// have full names, kernels and CRUSH mostly short ones.
func Same(a, b string) bool {
	a, b = normal(a), normal(b)
	if a == "" || b == "" {
		return false
	}
	shortA, domainA, _ := strings.Cut(a, ".")
	shortB, domainB, _ := strings.Cut(b, ".")
	return shortA == shortB && (domainA == "" || domainB == "" || domainA == domainB)
}

// Short returns a name without its domain.
func Short(name string) string {
	short, _, _ := strings.Cut(name, ".")
	return short
}

func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
