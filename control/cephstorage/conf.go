package cephstorage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// conf is what a ceph.conf says.
type conf struct {
	FSID string
	// MonHost are the addresses of the mons, each as addrvec.String gives them.
	MonHost  []string
	settings settings
}

// newConf makes one with the addresses of all mons, by their names. Their order is the same whoever was first.
func newConf(fsid string, options settings, addresses map[string]string) conf {
	c := conf{FSID: fsid, settings: options}
	for _, mon := range slices.Sorted(maps.Keys(addresses)) {
		c.MonHost = append(c.MonHost, addresses[mon])
	}
	return c
}

// String returns the file. It is the same on every node, so that a checksum tells whether one is stale.
func (c *conf) String() string {
	var b strings.Builder
	line := func(key string, value any) { fmt.Fprintf(&b, "%s = %v\n", key, value) }
	b.WriteString("# Written by cephctl, which replaces it when the mons change. Put other settings into the cluster:\n" +
		"# ceph config set global OPTION VALUE\n[global]\n")
	line("fsid", c.FSID)
	line("mon host", strings.Join(c.MonHost, ","))
	line("auth cluster required", "cephx")
	line("auth service required", "cephx")
	line("auth client required", "cephx")
	line("auth allow insecure global id reclaim", false)
	if strings.Contains(strings.Join(c.MonHost, ","), "[v2:[") {
		// Ceph takes IPv4 unless it is told.
		line("ms bind ipv4", false)
		line("ms bind ipv6", true)
	}
	if c.settings.PublicNetwork != "" {
		line("public network", c.settings.PublicNetwork)
	}
	if c.settings.ClusterNetwork != "" {
		line("cluster network", c.settings.ClusterNetwork)
	}
	line("osd pool default size", c.settings.Size)
	line("osd pool default min size", c.settings.MinSize)
	b.WriteString("\n[osd]\n")
	line("osd memory target", c.settings.MemoryTarget)
	// The exporter finds a guest's librbd by its process.
	b.WriteString("\n[" + instanceEntity + "]\n")
	line("admin socket", "/var/run/ceph/$cluster-$name.$pid.$cctid.asok")
	return b.String()
}

// checksum returns what node.Conf.SHA256 has for this file.
func checksum(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
