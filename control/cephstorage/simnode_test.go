package cephstorage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/nodeinfo"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/loopcheck"
)

type simNode struct {
	Name, Host string
	address    string
	facts      node.Facts
	Conf       string
	Keyrings   map[string]string
	Daemons    map[string]*simDaemon
	Disks      map[string]*simDisk
	Info       string
	skew       time.Duration
	down       bool
	// mapped are the images that its kernel has.
	mapped []loopback.Mapping
	// broken is what its agent answers to everything.
	broken error
}

type simDaemon struct {
	node.Daemon
	Active, Enabled bool
	fsid, uuid      string
	Device          string
}

type simDisk struct {
	stable, content string
	wipe            string
	missing         bool
	osd             *node.DeviceOSD
}

func nodeName(number int) string { return "node" + strconv.Itoa(number) }

func (s *sim) inventoryNode(number int) control.Node {
	return control.Node{Name: nodeName(number), Address: "10.0.0." + strconv.Itoa(number), Group: "default"}
}

// hardware makes a node with two disks that is not in the inventory.
func (s *sim) hardware(number int) control.Node {
	n := s.inventoryNode(number)
	s.nodes[n.Name] = &simNode{
		Name: n.Name, Host: n.Name, address: n.Address,
		facts: node.Facts{
			MemoryBytes: 32 << 30, VarFreeBytes: 50 << 30, Addresses: []string{n.Address + "/24"}, Release: "16.2.15",
			Packages: map[string]string{"ceph-mon": "1", "ceph-mgr": "1", "ceph-osd": "1", "ceph-common": "1", "ceph-volume": "1", "lvm2": "1"},
		},
		Keyrings: map[string]string{}, Daemons: map[string]*simDaemon{},
		Disks: map[string]*simDisk{"/dev/sdb": {}, "/dev/sdc": {}, "/dev/sdd": {}},
	}
	return n
}

func (s *sim) sorted() []*simNode {
	return slices.SortedFunc(maps.Values(s.nodes), func(a, b *simNode) int { return cmp.Compare(a.Name, b.Name) })
}

// simTransport reaches the agents of the nodes.
type simTransport struct{ *sim }

var _ control.Transport = simTransport{}

func (s simTransport) Call(ctx context.Context, to control.Node, r agent.Request, events func(agent.Event)) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[to.Name]
	if n == nil && to.Name == "localhost" {
		n = s.nodes["node1"] // before it is in the inventory
	}
	switch {
	case s.dead:
		return nil, errDead
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case n != nil && n.broken != nil:
		return nil, n.broken
	case n == nil || n.down:
		return nil, fmt.Errorf("reach %s: %w", to.Name, control.ErrUnreachable)
	}
	if events != nil {
		events(agent.Event{Kind: agent.KindProgress, Text: r.Action})
	}
	answer, err := s.act(n, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", to.Name, err)
	}
	return json.Marshal(answer)
}

func (s *sim) act(n *simNode, r agent.Request) (any, error) {
	switch r.Action {
	case "observe":
		if r.Storage == loopcheck.Name {
			return loopcheck.Facts{Mappings: n.mapped}, nil
		}
		return s.observed(n, payload[node.Query](s, r)), nil
	case "init":
		return nil, s.initNode(n, payload[node.Object](s, r))
	case "remove":
		return nil, s.remove(n, payload[node.Removal](s, r))
	case "start":
		return nil, s.start(n, payload[[]node.Daemon](s, r))
	case "node-info":
		if err := s.change(); err != nil {
			return nil, err
		}
		info := payload[nodeinfo.Info](s, r)
		n.Info = fmt.Sprintf("%s %s %s %s %v", info.Node, info.Group, info.Storage, info.Cluster, info.Roles)
		return nil, nil
	}
	s.t.Errorf("unexpected action: %s", r.Action)
	return nil, errors.New("no such action")
}

func payload[T any](s *sim, r agent.Request) T {
	var p T
	if err := json.Unmarshal(r.Payload, &p); err != nil {
		s.t.Errorf("payload of %s: %v", r.Action, err)
	}
	return p
}

func (s *sim) observed(n *simNode, q node.Query) node.Facts {
	f := n.facts
	f.Host, f.Time = n.Host, time.Now().Add(n.skew)
	if n.Conf != "" {
		f.Conf = &node.Conf{FSID: confValue(n.Conf, "fsid"), MonHost: confValue(n.Conf, "mon host"), SHA256: checksum(n.Conf)}
	}
	for _, name := range slices.Sorted(maps.Keys(n.Keyrings)) {
		f.Keyrings = append(f.Keyrings, node.File{Name: name, Mode: "0600"})
	}
	for _, name := range slices.Sorted(maps.Keys(n.Daemons)) {
		d := n.Daemons[name]
		active := "inactive"
		if d.Active {
			active = "active"
		}
		f.Daemons = append(f.Daemons, node.DaemonFacts{
			Daemon: d.Daemon, Active: active, Enabled: d.Enabled, Data: true, FSID: d.fsid, UUID: d.uuid, Device: d.Device,
		})
	}
	for _, path := range q.Devices {
		f.Devices = append(f.Devices, n.device(path))
	}
	return f
}

func confValue(conf, key string) string {
	for line := range strings.Lines(conf) {
		if rest, ok := strings.CutPrefix(line, key+" = "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func (n *simNode) device(path string) node.DeviceFacts {
	d := n.Disks[path]
	if d == nil || d.missing {
		return node.DeviceFacts{Path: path, Stable: path}
	}
	f := node.DeviceFacts{Path: path, Stable: path, Exists: true, SizeBytes: 1 << 40, Pristine: d.content == "" && d.osd == nil, Content: d.content, Wipe: d.wipe, OSD: d.osd}
	if d.stable != "" {
		f.Stable = d.stable
	}
	if d.osd != nil {
		f.Content = "BlueStore"
	}
	return f
}

// disk finds a disk by its path or its stable name.
func (n *simNode) disk(name string) *simDisk {
	for path, d := range n.Disks {
		if name != "" && (path == name || d.stable == name) && !d.missing {
			return d
		}
	}
	return nil
}

func (s *sim) isMaster(n *simNode) bool { return n.Name == "node1" || n.Name == "localhost" }

// put writes a file of a node, and on the master the real one.
func (s *sim) put(n *simNode, name, content string) error {
	if name == "ceph.conf" {
		n.Conf = content
	} else {
		n.Keyrings[name] = content
	}
	if !s.isMaster(n) {
		return nil
	}
	path := s.path(etcCeph + "/" + name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600))
}

func (s *sim) initNode(n *simNode, o node.Object) error {
	if fsid := confValue(n.Conf, "fsid"); fsid != "" && fsid != o.FSID {
		return fmt.Errorf("ceph.conf is of %s", fsid)
	}
	if err := s.change(); err != nil {
		return err
	}
	if err := s.put(n, "ceph.conf", o.Conf); err != nil {
		return err
	}
	for name, content := range o.Keyrings {
		if !strings.Contains(content, "key = ") {
			s.t.Errorf("keyring %s has no key: %q", name, content)
		}
		if err := s.put(n, name, content); err != nil {
			return err
		}
	}
	for _, role := range o.Roles {
		if err := s.change(); err != nil {
			return err
		}
		if err := s.initRole(n, role, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *sim) initRole(n *simNode, role string, o node.Object) error {
	switch role {
	case node.RoleMon:
		return s.initMon(n, o)
	case node.RoleMgr:
		if _, ok := s.keys["mgr."+o.Name]; !ok || !strings.Contains(o.MgrKeyring, "[mgr."+o.Name+"]") {
			return fmt.Errorf("mgr.%s has no key", o.Name)
		}
		n.run(node.Daemon{Role: role, ID: o.Name}, o.FSID)
		return nil
	}
	for _, osd := range o.OSDs {
		if err := s.initOSD(n, o, osd); err != nil {
			return err
		}
	}
	return nil
}

func (n *simNode) run(d node.Daemon, fsid string) *simDaemon {
	if n.Daemons[d.String()] == nil {
		n.Daemons[d.String()] = &simDaemon{Daemon: d, fsid: fsid}
	}
	n.Daemons[d.String()].Active, n.Daemons[d.String()].Enabled = true, true
	return n.Daemons[d.String()]
}

func (s *sim) initMon(n *simNode, o node.Object) error {
	isNew := n.Daemons["mon."+o.Name] == nil
	switch {
	case !strings.Contains(o.Mon.Keyring, "[mon.]"):
		return errors.New("the mon gets no key")
	case len(o.Mon.Monmap) == 0 && isNew && len(s.mons) > 0:
		return errors.New("a second first mon")
	case len(o.Mon.Monmap) == 0 && isNew:
		s.fsid = o.FSID
		s.rules = []simRule{{ID: 0, Name: hostRule, Domain: "host"}}
		s.keys["mon."], s.keys[adminEntity] = "mon allow *", "mon allow *"
	}
	if !slices.ContainsFunc(s.mons, func(m simMon) bool { return m.Name == o.Name }) {
		s.mons = append(s.mons, simMon{o.Name, o.Mon.Addresses})
	}
	n.run(node.Daemon{Role: node.RoleMon, ID: o.Name}, o.FSID)
	return nil
}

// initOSD makes an OSD: its label first, then the rest.
func (s *sim) initOSD(n *simNode, o node.Object, osd node.OSD) error {
	known, disk := s.osd(osd.ID), n.disk(osd.Device)
	switch {
	case known == nil || known.UUID != osd.UUID:
		return fmt.Errorf("%s with uuid %s is not in the map", osdName(osd.ID), osd.UUID)
	case s.keys[osdName(osd.ID)] == "" || osd.Secret != secretOf(osdName(osd.ID)):
		return fmt.Errorf("%s has no key", osdName(osd.ID))
	case disk == nil:
		return fmt.Errorf("there is no %s", osd.Device)
	case disk.content != "" || disk.osd != nil && disk.osd.UUID != osd.UUID:
		return fmt.Errorf("%s is not pristine", osd.Device)
	}
	disk.osd = &node.DeviceOSD{ID: osd.ID, UUID: osd.UUID, FSID: o.FSID}
	if err := s.change(); err != nil {
		return err
	}
	disk.osd.Complete = true
	d := n.run(node.Daemon{Role: node.RoleOSD, ID: strconv.Itoa(osd.ID)}, o.FSID)
	d.uuid, d.Device = osd.UUID, osd.Device
	s.boot(n, known)
	return nil
}

// boot is what the mons do when an OSD comes up.
func (s *sim) boot(n *simNode, o *simOSD) {
	if !o.booted && !o.Destroyed && o.Host == "" {
		o.Weight = 1
	}
	if o.Class == "" {
		o.Class = "hdd"
	}
	o.Host, o.booted = n.Host, true
	if !slices.Contains(s.hosts, n.Host) {
		s.hosts = append(s.hosts, n.Host)
	}
}

func (s *sim) start(n *simNode, daemons []node.Daemon) error {
	for _, d := range daemons {
		if err := s.change(); err != nil {
			return err
		}
		if n.Daemons[d.String()] == nil {
			return fmt.Errorf("there is no %s", d)
		}
		n.Daemons[d.String()].Active, n.Daemons[d.String()].Enabled = true, true
	}
	return nil
}

func (s *sim) remove(n *simNode, r node.Removal) error {
	for _, d := range r.Daemons {
		if err := s.change(); err != nil {
			return err
		}
		have := n.Daemons[d.String()]
		if have == nil {
			continue
		}
		if have.fsid != r.FSID {
			return fmt.Errorf("%s is of another cluster", d)
		}
		have.Active, have.Enabled = false, false
		if !r.Data {
			continue
		}
		if err := s.change(); err != nil {
			return err
		}
		if disk := n.disk(have.Device); disk != nil {
			disk.osd = nil
		}
		delete(n.Daemons, d.String())
	}
	for _, osd := range r.HalfMade {
		disk := n.disk(osd.Device)
		if disk == nil || disk.osd == nil || disk.osd.UUID != osd.UUID {
			return fmt.Errorf("%s does not hold %+v", osd.Device, osd)
		}
		disk.osd = nil
	}
	if !r.Everything || confValue(n.Conf, "fsid") != r.FSID {
		return nil
	}
	if err := s.change(); err != nil {
		return err
	}
	n.Conf, n.Info = "", ""
	clear(n.Keyrings)
	if s.isMaster(n) {
		return os.RemoveAll(s.path(etcCeph))
	}
	return nil
}
