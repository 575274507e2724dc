// Package redact takes out of captured answers what tells whose they are, and every secret, and leaves the rest
// as it is, byte for byte, so that a parser meets what it met on the node.
package redact

import (
	"fmt"
	"strings"
)

// Removed stands where a secret was.
const Removed = "REDACTED"

// Known are the names that the caller knows beforehand. Others are learned from the documents.
type Known struct {
	// Hosts are names of hosts, short or with their domain.
	Hosts []string
	// Instances are names of Ganeti instances.
	Instances []string
	// Clusters are ids of Ceph clusters, UUIDs.
	Clusters []string
}

// Counts says how many different ones of a kind were replaced, and how many secrets were removed.
type Counts struct {
	Hosts     int `json:"hosts"`
	Instances int `json:"instances"`
	Domains   int `json:"names_with_domain"`
	Clusters  int `json:"cluster_ids"`
	IPv4      int `json:"ipv4"`
	IPv6      int `json:"ipv6"`
	MACs      int `json:"macs"`
	Secrets   int `json:"secrets"`
}

// String returns the counts for people.
func (c Counts) String() string {
	return fmt.Sprintf("%d hosts, %d instances, %d other names, %d cluster ids, %d addresses, %d secrets",
		c.Hosts, c.Instances, c.Domains, c.Clusters, c.IPv4+c.IPv6+c.MACs, c.Secrets)
}

// Documents returns the documents redacted. The same name or address is replaced by the same everywhere: hosts by
// host1, host2, ..., instances by instance1.example.net, ..., addresses by those that are reserved for
// documentation, the cluster's id by one of zeros. Secrets become Removed. A document that is valid JSON stays so.
//
// Documents is a pure function: the same documents in the same order give the same result.
func Documents(known Known, docs []string) ([]string, Counts) {
	n := newNames(known)
	for _, doc := range docs {
		n.learn(doc)
	}
	r := &redactor{names: n, addresses: newAddresses(), clean: make(map[string]bool)}
	out := make([]string, len(docs))
	for i, doc := range docs {
		out[i] = r.document(doc)
	}
	return out, r.counts()
}

// redactor redacts one document after the other and remembers what it has replaced by what.
type redactor struct {
	names     *names
	addresses *addresses
	secrets   int
	// clean are strings that have nothing to replace. Answers of many daemons are much alike.
	clean map[string]bool
}

func (r *redactor) counts() Counts {
	c := r.names.counts
	c.IPv4, c.IPv6, c.MACs = r.addresses.counts.IPv4, r.addresses.counts.IPv6, r.addresses.counts.MACs
	c.Secrets = r.secrets
	return c
}

func (r *redactor) document(doc string) string {
	if isJSON(doc) {
		return r.json(doc)
	}
	return r.text(doc)
}

func isJSON(doc string) bool {
	start := strings.TrimLeft(doc, " \t\r\n")
	return strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[")
}

// text redacts one string without structure.
func (r *redactor) text(s string) string {
	if r.clean[s] {
		return s
	}
	out := r.names.replace(r.addresses.replace(r.removeSecrets(s)))
	const longest = 1 << 10 // what is longer hardly comes twice
	if out == s && len(s) < longest {
		r.clean[s] = true
	}
	return out
}
