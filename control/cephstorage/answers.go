package cephstorage

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
)

// health is the answer to `ceph health detail -f json`.
type health struct {
	Status string           `json:"status"`
	Checks map[string]check `json:"checks"`
}

type check struct {
	Severity string `json:"severity"`
	Summary  struct {
		Message string `json:"message"`
	} `json:"summary"`
	Muted bool `json:"muted"`
}

// quorum is the answer to `ceph quorum_status -f json`.
type quorum struct {
	Names  []string `json:"quorum_names"`
	Monmap struct {
		FSID string `json:"fsid"`
		Mons []struct {
			Name  string  `json:"name"`
			Addrs addrvec `json:"public_addrs"`
		} `json:"mons"`
	} `json:"monmap"`
}

type addrvec struct {
	Addrvec []struct {
		Type string `json:"type"`
		Addr string `json:"addr"`
	} `json:"addrvec"`
}

// has tells whether one of the addresses is of this IP address, whatever its port.
func (a addrvec) has(ip string) bool {
	for _, addr := range a.Addrvec {
		endpoint, _, _ := strings.Cut(addr.Addr, "/") // the nonce
		if host, _, err := net.SplitHostPort(endpoint); err == nil && host == ip {
			return true
		}
	}
	return false
}

// String returns the addresses as ceph.conf has them, for example "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]".
func (a addrvec) String() string {
	out := ""
	for _, addr := range a.Addrvec {
		if out != "" {
			out += ","
		}
		out += addr.Type + ":" + addr.Addr
	}
	return "[" + out + "]"
}

// names returns the names of the mons in the map.
func (q *quorum) names() []string {
	names := make([]string, 0, len(q.Monmap.Mons))
	for _, m := range q.Monmap.Mons {
		names = append(names, m.Name)
	}
	return names
}

// mgrMap is the answer to `ceph mgr dump -f json`.
type mgrMap struct {
	Active    string `json:"active_name"`
	Available bool   `json:"available"`
	Standbys  []struct {
		Name string `json:"name"`
	} `json:"standbys"`
}

// names returns all mgrs that run, the active one first.
func (m *mgrMap) names() []string {
	var names []string
	if m.Active != "" {
		names = append(names, m.Active)
	}
	for _, s := range m.Standbys {
		names = append(names, s.Name)
	}
	return names
}

// osdMap is the answer to `ceph osd dump -f json`.
type osdMap struct {
	FSID             string         `json:"fsid"`
	Flags            []string       `json:"flags_set"`
	OSDs             []osdInfo      `json:"osds"`
	Pools            []poolInfo     `json:"pools"`
	CrushNodeFlags   map[string]any `json:"crush_node_flags"`
	DeviceClassFlags map[string]any `json:"device_class_flags"`
}

type osdInfo struct {
	ID     int      `json:"osd"`
	UUID   string   `json:"uuid"`
	Up     int      `json:"up"`
	In     int      `json:"in"`
	Weight float64  `json:"weight"`
	State  []string `json:"state"`
	Addrs  addrvec  `json:"public_addrs"`
}

type poolInfo struct {
	ID           int            `json:"pool"`
	Name         string         `json:"pool_name"`
	Type         int            `json:"type"`
	Size         int            `json:"size"`
	MinSize      int            `json:"min_size"`
	Rule         int            `json:"crush_rule"`
	Applications map[string]any `json:"application_metadata"`
}

// isOfMgr tells whether a pool is the one that the mgr makes for itself: device_health_metrics, and .mgr since release 17.
func (p *poolInfo) isOfMgr() bool {
	_, old := p.Applications["mgr_devicehealth"]
	_, mgr := p.Applications["mgr"]
	return old || mgr
}

// isErasure tells whether a pool is erasure-coded: its size is then the number of parts, and it keeps no copies.
func (p *poolInfo) isErasure() bool { return p.Type == 3 }

// osd returns the OSD with this id, or nil.
func (m *osdMap) osd(id int) *osdInfo {
	for i := range m.OSDs {
		if m.OSDs[i].ID == id {
			return &m.OSDs[i]
		}
	}
	return nil
}

// byUUID returns the OSD with this uuid, or nil.
func (m *osdMap) byUUID(uuid string) *osdInfo {
	for i := range m.OSDs {
		if m.OSDs[i].UUID == uuid {
			return &m.OSDs[i]
		}
	}
	return nil
}

// pool returns the pool with this name, or nil.
func (c *cephView) pool(name string) *poolInfo {
	if c == nil {
		return nil
	}
	return c.osds.pool(name)
}

// pool returns the pool with this name, or nil.
func (m *osdMap) pool(name string) *poolInfo {
	for i := range m.Pools {
		if m.Pools[i].Name == name {
			return &m.Pools[i]
		}
	}
	return nil
}

// tree is the answer to `ceph osd tree -f json`.
type tree struct {
	Nodes []treeNode `json:"nodes"`
	Stray []treeNode `json:"stray"`
}

type treeNode struct {
	ID       int     `json:"id"`
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Status   string  `json:"status"`
	Children []int   `json:"children"`
	Reweight float64 `json:"reweight"`
	Class    string  `json:"device_class"`
}

// osdsOf returns the ids of the OSDs below the host bucket of this name, in order.
func (t *tree) osdsOf(host string) []int {
	for _, n := range t.Nodes {
		if n.Type == "host" && n.Name == host {
			ids := slices.Clone(n.Children)
			slices.Sort(ids)
			return ids
		}
	}
	return nil
}

// hostOf returns the name of the host bucket that holds an OSD, or nothing.
func (t *tree) hostOf(osd int) string {
	for _, n := range t.Nodes {
		if n.Type == "host" && slices.Contains(n.Children, osd) {
			return n.Name
		}
	}
	return ""
}

// hosts returns the names of the host buckets that hold an OSD.
func (t *tree) hosts() []string {
	var hosts []string
	for _, n := range t.Nodes {
		if n.Type == "host" && len(n.Children) > 0 {
			hosts = append(hosts, n.Name)
		}
	}
	return hosts
}

// hasHost tells whether there is a host bucket of this name, be it empty.
func (t *tree) hasHost(host string) bool {
	return slices.ContainsFunc(t.Nodes, func(n treeNode) bool { return n.Type == "host" && n.Name == host })
}

// crushRule is an element of the answer to `ceph osd crush rule dump -f json`.
type crushRule struct {
	ID    int    `json:"rule_id"`
	Name  string `json:"rule_name"`
	Steps []struct {
		Op   string `json:"op"`
		Type string `json:"type"`
		Item string `json:"item_name"`
	} `json:"steps"`
}

// takes returns the bucket that a rule takes its OSDs from, and the device class that these have to have, or "".
func (r *crushRule) takes() (bucket, class string) {
	for _, step := range r.Steps {
		if step.Op == "take" {
			bucket, class, _ = strings.Cut(step.Item, "~")
			return bucket, class
		}
	}
	return "", ""
}

// domain returns the failure domain of a rule, for example "host".
func (r *crushRule) domain() string {
	for _, step := range r.Steps {
		if step.Type != "" {
			return step.Type
		}
	}
	return "osd"
}

// configEntry is an element of the answer to `ceph config dump -f json`.
type configEntry struct {
	Section string `json:"section"`
	Mask    string `json:"mask"`
	Name    string `json:"name"`
	Value   string `json:"value"`
}

// setting returns the value that was given to an option in a section of the cluster's configuration, or "".
func (c *cephView) setting(section, name string) string {
	if c == nil {
		return ""
	}
	for _, e := range c.config {
		if e.Section == section && e.Name == name && e.Mask == "" {
			return e.Value
		}
	}
	return ""
}

// parse decodes an answer of Ceph's.
func parse[T any](what string, data []byte) (*T, error) {
	var answer T
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", what, err)
	}
	return &answer, nil
}
