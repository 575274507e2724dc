package redact

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// hostFields are fields whose value is the name of a host.
var hostFields = map[string]bool{
	"hostname": true, "container_hostname": true, "container_name": true, "host": true, "host_name": true, "nodename": true,
	"node_name": true, "node": true, "primary_node": true,
}

// clusterFields are fields whose value is the id of the cluster.
var clusterFields = map[string]bool{"fsid": true, "cluster_fsid": true, "ceph_fsid": true}

// ordinary are words that are part of other names. A host that is called so is replaced only where a field says
// that it is a host.
var ordinary = map[string]bool{
	"admin": true, "ceph": true, "client": true, "data": true, "host": true, "kvm": true, "linux": true, "mds": true,
	"mgr": true, "mon": true, "node": true, "osd": true, "pool": true, "qemu": true, "rbd": true, "rgw": true,
	"root": true, "vm": true,
}

// nobody are words that stand in fields for hosts and name none.
var nobody = map[string]bool{
	"default": true, "localdomain": true, "localhost": true, "none": true, "unknown": true,
}

// topDomains are the last parts of names by which names with a domain are known that nobody has told. Those that
// are English words are left out.
var topDomains = map[string]bool{
	"com": true, "net": true, "org": true, "edu": true, "gov": true, "mil": true, "biz": true, "io": true,
	"local": true, "lan": true, "localdomain": true, "intern": true, "internal": true, "corp": true,
	"eu": true, "de": true, "ch": true, "fr": true, "nl": true, "uk": true, "pl": true, "cz": true, "ru": true,
	"cn": true, "jp": true, "br": true, "au": true, "se": true, "dk": true, "fi": true, "es": true,
}

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*$`)
	letter   = regexp.MustCompile(`[A-Za-z]`)
	uuid     = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	// inText is how health checks and CRUSH locations name a host.
	inText = regexp.MustCompile(`\bhost(?:name)?[=:]\s?"?([A-Za-z0-9][A-Za-z0-9.-]*)`)
)

// names knows which names stand for hosts, instances, domains and the cluster, and what replaces each.
type names struct {
	by      map[string]string // lower case
	inField map[string]string // the same for ordinary words
	domains map[string]bool
	counts  Counts
}

func newNames(known Known) *names {
	n := &names{by: make(map[string]string), inField: make(map[string]string), domains: make(map[string]bool)}
	for _, host := range known.Hosts {
		n.addHost(host)
	}
	for _, instance := range known.Instances {
		n.addInstance(instance)
	}
	for _, id := range known.Clusters {
		n.addCluster(id)
	}
	return n
}

func (n *names) addHost(host string) {
	host = strings.ToLower(strings.TrimRight(host, "."))
	if _, err := netip.ParseAddr(host); err == nil || !hostName.MatchString(host) || !letter.MatchString(host) {
		return
	}
	short, domain, qualified := strings.Cut(host, ".")
	if nobody[short] || len(short) < 2 {
		return
	}
	shorts := n.by
	if ordinary[short] {
		shorts = n.inField
	}
	if shorts[short] == "" {
		n.counts.Hosts++
		shorts[short] = fmt.Sprintf("host%d", n.counts.Hosts)
	}
	if qualified {
		n.by[host] = shorts[short] + ".example.net"
		n.domains[domain] = true
	}
}

// host returns what replaces a value that is an ordinary word and, by its place, the name of a host.
func (n *names) host(value string, path []frame) (string, bool) {
	if len(path) == 0 || path[len(path)-1].array {
		return "", false
	}
	field := path[len(path)-1].field
	to, ok := n.inField[strings.ToLower(value)]
	return to, ok && (hostFields[field] || field == "name")
}

func (n *names) addInstance(instance string) {
	instance = strings.ToLower(instance)
	if n.by[instance] != "" || instance == "" {
		return
	}
	n.counts.Instances++
	n.by[instance] = fmt.Sprintf("instance%d.example.net", n.counts.Instances)
	if _, domain, qualified := strings.Cut(instance, "."); qualified {
		n.domains[domain] = true
	}
}

func (n *names) addCluster(id string) {
	id = strings.ToLower(id)
	if !uuid.MatchString(id) || n.by[id] != "" || strings.Trim(id, "0-") == "" {
		return
	}
	n.counts.Clusters++
	n.by[id] = fmt.Sprintf("00000000-0000-4000-8000-%012x", n.counts.Clusters)
}

// learn finds names in a document.
func (n *names) learn(doc string) {
	if isJSON(doc) {
		scan(doc, visitor{
			str:  n.learnValue,
			key:  func(name string) string { return name },
			bare: func(text string, _ []frame) string { return text },
		})
		return
	}
	n.learnText(doc)
}

func (n *names) learnText(s string) {
	if strings.Contains(s, "host") {
		for _, m := range inText.FindAllStringSubmatch(s, -1) {
			n.addHost(m[1])
		}
	}
}

func (n *names) learnValue(s string, path []frame) string {
	if len(path) > 0 && !path[len(path)-1].array {
		last := path[len(path)-1]
		switch {
		case hostFields[last.field], last.field == "name" && last.fields["type"] == "host":
			n.addHost(s)
		case last.field == "type" && s == "host":
			n.addHost(last.fields["name"])
		case clusterFields[last.field]:
			n.addCluster(s)
		}
	}
	if _, inner, ok := nested(s); ok {
		n.learn(inner)
	} else {
		n.learnText(s)
	}
	return s
}
