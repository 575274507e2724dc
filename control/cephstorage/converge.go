package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/nodeinfo"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// goal is what the storage group is to look like, and what there is of it already.
type goal struct {
	fsid    string
	group   string
	members []*nodeView
	// away are members that do not answer: what they have counts, and nothing is done on them.
	away    []*nodeView
	options settings
	// mons and mgrs are the hosts that are to have one; addresses those of the mons, by host.
	mons, mgrs []string
	addresses  map[string]string
	// confs are the contents of ceph.conf by host, and under "" that of hosts without daemons.
	confs  map[string]string
	memory *control.Memory
}

// builder makes the steps that bring the members to the goal, leaving out what is so already.
type builder struct {
	*Storage
	v    *view
	g    *goal
	plan *control.Plan
}

// setGoal decides who runs what. It adds blockers where that can't be decided.
func setGoal(v *view, group, fsid string, nodes []*nodeView, memory *control.Memory) (*goal, error) {
	options, err := v.optionsOf("")
	if err != nil {
		return nil, err
	}
	g := &goal{fsid: fsid, group: group, options: options, memory: memory, addresses: map[string]string{}}
	g.members = keep(nodes, func(n *nodeView) bool { return n.err == nil })
	g.away = keep(nodes, func(n *nodeView) bool { return n.err != nil })
	hosts := hostsOf(g.members)
	var haveMons, haveMgrs []string
	if v.ceph != nil {
		haveMons, haveMgrs = v.ceph.quorum.names(), v.ceph.mgrs.names()
	} else if first := memory.Get("first-mon"); first != "" {
		haveMons = []string{first}
	}
	g.mons = placeMons(hosts, hostsOf(g.away), haveMons, options.Mons)
	g.mgrs = placeMgrs(hosts, haveMgrs, g.mons)
	for _, mon := range g.mons {
		g.addresses[mon] = g.addressesOf(v, mon)
	}
	g.setConfs(v)
	return g, nil
}

// setConfs decides what each ceph.conf says. They differ only where nodes have options of their own.
func (g *goal) setConfs(v *view) {
	c := newConf(g.fsid, g.options, g.addresses)
	g.confs = map[string]string{"": c.String()}
	for _, n := range g.members {
		own := c
		if options, err := v.optionsOf(n.Name); err == nil { // else checkMembers has said so
			own.settings.MemoryTarget = options.MemoryTarget
		}
		g.confs[n.host()] = own.String()
	}
}

// conf returns the ceph.conf of a host.
func (g *goal) conf(host string) string {
	if content, ok := g.confs[host]; ok {
		return content
	}
	return g.confs[""]
}

// hosts counts the hosts of the storage cluster.
func (g *goal) hosts() int { return len(g.members) + len(g.away) }

// here returns those of a list of hosts that answer.
func (g *goal) here(hosts []string) []string { return without(hosts, hostsOf(g.away)) }

// addressesOf returns the addresses of a mon that runs, or those that it will have.
func (g *goal) addressesOf(v *view, host string) string {
	if v.ceph != nil {
		for _, m := range v.ceph.quorum.Monmap.Mons {
			if m.Name == host {
				return m.Addrs.String()
			}
		}
	}
	n := g.member(host)
	addr, err := publicAddress(n.facts.Addresses, n.Address, g.options.PublicNetwork)
	if err != nil {
		return "" // checkMembers has said so
	}
	return monAddresses(addr)
}

// member returns the member with this host name, which answers.
func (g *goal) member(host string) *nodeView {
	i := slices.IndexFunc(g.members, func(n *nodeView) bool { return n.host() == host })
	return g.members[i]
}

func hostsOf(members []*nodeView) []string {
	hosts := make([]string, len(members))
	for i, n := range members {
		hosts[i] = n.host()
	}
	return hosts
}

// converge adds the steps that make the members what they are to be.
func (b *builder) converge() {
	if b.v.ceph == nil {
		b.bootstrap()
	}
	b.shareSettings()
	b.rules()
	b.addMons()
	b.keys()
	b.configure()
	b.addMgrs()
	b.addOSDs()
	b.movePools()
	b.pools()
	// What an interrupted run has made is not to be seen any more, and has to be waited for and told all the same.
	changes := len(b.plan.Steps) > 0 || b.g.memory.Get("changes") != ""
	if changes {
		b.g.memory.Keep("changes", yes)
		b.settle("settle")
	}
	b.joinPlaces(changes)
	b.mark(changes)
}

// yes is what an operation remembers of what has no value.
func yes() string { return "yes" }

// isInitialised tells whether the cluster was once made to the end.
func (b *builder) isInitialised() bool { return !b.v.state.Initialised.IsZero() }

// step adds a step.
func (b *builder) step(s control.Step) { b.plan.Steps = append(b.plan.Steps, s) }

// bootstrap makes the keys and the first mon of a new cluster.
func (b *builder) bootstrap() {
	first := b.g.member(b.g.mons[0])
	b.g.memory.Keep("first-mon", first.host)
	shown := b.objectFor("")
	shown.Keyrings = map[string]string{adminKeyring: "key"}
	keys := control.Step{
		ID: "keys", Node: b.v.master.Name, Title: "make the keys of mons and admin, and write ceph.conf",
		Commands: append([]string{
			"ceph-authtool --gen-print-key    # twice: for mon. and client.admin",
			"write " + monKeyringPath + " (0600 root), until the cluster stands",
		}, node.InitCommands(shown)...),
		Do: func(ctx context.Context, progress func(string)) error {
			// From here on there is something to go on with, or to destroy.
			if err := b.remember(func(st *state.Storage) { st.ID, st.Group = b.g.fsid, b.g.group }); err != nil {
				return err
			}
			keyring, err := b.firstKeyring(ctx)
			if err != nil {
				return err
			}
			object := b.objectFor("")
			object.Keyrings = map[string]string{adminKeyring: adminPart(keyring)}
			return b.call(ctx, b.v.master.Node, nodeTimeout, "init", object, nil, progress)
		},
	}
	b.step(keys)
	object := b.objectFor(first.host())
	object.Roles = []string{node.RoleMon}
	object.Mon = &node.Mon{Addresses: b.g.addresses[first.host()]}
	b.step(b.initStep(first.Node, "mon "+first.host(), "start the first mon, mon."+first.host(), object, nil,
		func(ctx context.Context) (node.Object, error) {
			keyring, err := b.firstKeyring(ctx)
			mon := *object.Mon
			mon.Keyring = keyring
			out := object
			out.Mon = &mon
			return out, err
		}))
}

// shareSettings sets what all daemons share in a cluster that is being made. Later it is the admin's.
func (b *builder) shareSettings() {
	const option = "auth_allow_insecure_global_id_reclaim"
	if !b.isInitialised() && b.v.ceph.setting("mon", option) != "false" {
		b.step(b.cephStep(b.v, "config", "set what all daemons of the cluster share", []string{"config", "set", "mon", option, "false"}))
	}
}

// objectFor returns an object without roles and secrets.
func (b *builder) objectFor(host string) node.Object {
	return node.Object{FSID: b.g.fsid, Conf: b.g.conf(host), Name: host}
}

// addMons adds mons one after the other: each joins before the next is made.
func (b *builder) addMons() {
	var have []string
	if b.v.ceph != nil {
		have = b.v.ceph.quorum.names()
	} else {
		have = b.g.mons[:1]
	}
	for _, host := range b.g.here(b.g.mons) {
		n := b.g.member(host)
		if slices.Contains(have, host) {
			if b.v.ceph != nil && !n.isRunning(node.RoleMon, host) {
				b.start(n, node.RoleMon, host)
			}
			continue
		}
		if b.v.ceph != nil && n.daemon(node.RoleMon, host) != nil {
			b.step(b.removeOldMon(n))
		}
		object := b.objectFor(host)
		object.Roles = []string{node.RoleMon}
		object.Mon = &node.Mon{Addresses: b.g.addresses[host], Monmap: []byte("of the running cluster")}
		b.step(b.initStep(n.Node, "mon "+host, "add mon."+host, object, []string{
			"ceph mon getmap    # sent to the node",
			"ceph auth get mon.    # sent to the node",
		}, func(ctx context.Context) (node.Object, error) { return b.monObject(ctx, object) }))
	}
}

// removeOldMon is a step that removes the data of a mon which was in the map and is no longer: it would look for itself
// in the map that it knows, and end. One that has joined meanwhile, late, is left alone.
func (b *builder) removeOldMon(n *nodeView) control.Step {
	host := n.host()
	step := b.removeStep(n, "old mon "+host, "remove what is left of mon."+host, node.Removal{
		FSID: b.g.fsid, Daemons: []node.Daemon{{Role: node.RoleMon, ID: host}}, Data: true,
	})
	remove := step.Do
	step.Do = func(ctx context.Context, progress func(string)) error {
		var q quorum
		if err := ask(ctx, b.Storage, &q, "quorum_status"); err != nil {
			return err
		}
		if slices.Contains(q.names(), host) {
			return nil
		}
		return remove(ctx, progress)
	}
	return step
}

// monObject fills in what a further mon is made from.
func (b *builder) monObject(ctx context.Context, object node.Object) (node.Object, error) {
	monmap, err := b.ceph(ctx, "mon", "getmap")
	if err != nil {
		return object, fmt.Errorf("get the monmap: %w", err)
	}
	keyring, err := b.ceph(ctx, "auth", "get", "mon.")
	if err != nil {
		return object, fmt.Errorf("get the mons' key: %w", err)
	}
	mon := *object.Mon
	mon.Monmap, mon.Keyring = monmap, string(keyring)
	object.Mon = &mon
	return object, nil
}

// start adds a step that starts a daemon which is there and does not run.
func (b *builder) start(n *nodeView, role, id string) {
	daemons := []node.Daemon{{Role: role, ID: id}}
	step := control.Step{
		ID: "start " + role + "." + id, Node: n.Name, Title: "start " + role + "." + id, Together: "start " + role,
		Commands: node.StartCommands(daemons),
		Do: func(ctx context.Context, progress func(string)) error {
			return b.call(ctx, n.Node, nodeTimeout, "start", daemons, nil, progress)
		},
	}
	b.step(step)
}

// keyrings are the keys that every member has, with their caps; the administrator's has its own.
func (b *builder) keyrings() map[string][]string {
	keys := b.v.clientKeys(b.g.options)
	keys[exporterEntity] = exporterCaps
	return keys
}

// keys makes the keys of exporter and instances, where a member lacks one.
func (b *builder) keys() {
	if !slices.ContainsFunc(b.g.members, func(n *nodeView) bool { return !n.hasKeyrings(b.keyrings()) }) {
		return
	}
	step := b.cephStep(b.v, "client-keys", "make the keys of the exporter and of instances",
		authGet(exporterEntity, exporterCaps), authGet(instanceEntity, instanceCaps(b.g.options.Pool)))
	step.Do = func(ctx context.Context, _ func(string)) error {
		_, err := b.withKeyrings(ctx, node.Object{}, b.keyrings())
		return err
	}
	b.step(step)
}

func (n *nodeView) hasKeyrings(keys map[string][]string) bool {
	for entity := range keys {
		if !slices.ContainsFunc(n.facts.Keyrings, func(f node.File) bool { return f.Name == keyringFile(entity) }) {
			return false
		}
	}
	return true
}

// configure writes ceph.conf and the keyrings to the members where they are not so already, and to the master.
func (b *builder) configure() {
	for _, n := range b.g.members {
		if b.isConfigured(n) && n.hasKeyrings(b.keyrings()) {
			continue
		}
		object := b.objectFor(n.host())
		known := object
		known.Keyrings = shownKeyrings(b.keyrings())
		step := b.initStep(n.Node, "conf "+n.host(), "write ceph.conf and the keyrings of exporter and instances", known, nil,
			func(ctx context.Context) (node.Object, error) { return b.withKeyrings(ctx, object, b.keyrings()) })
		step.Together = "conf"
		b.step(step)
	}
	b.configureMaster()
}

// configureMaster keeps the master's ceph.conf, when the master is no member.
func (b *builder) configureMaster() {
	master := b.v.master
	if slices.Contains(b.g.members, master) || b.isConfigured(master) || b.v.ceph == nil {
		return
	}
	b.step(b.initStep(master.Node, "conf of the master", "write ceph.conf", b.objectFor(""), nil,
		func(context.Context) (node.Object, error) { return b.objectFor(""), nil }))
}

// isConfigured tells whether a node's ceph.conf is up to date.
func (b *builder) isConfigured(n *nodeView) bool {
	return n.facts.Conf != nil && n.facts.Conf.SHA256 == checksum(b.g.conf(n.host()))
}

// shownKeyrings are files with any content: what is shown is only that they are written.
func shownKeyrings(keys map[string][]string) map[string]string {
	files := make(map[string]string, len(keys))
	for entity := range keys {
		files[keyringFile(entity)] = "key"
	}
	return files
}

// withKeyrings returns the object with the keyrings of clients.
func (s *Storage) withKeyrings(ctx context.Context, object node.Object, keys map[string][]string) (node.Object, error) {
	s.clientKeyringsMu.Lock()
	defer s.clientKeyringsMu.Unlock()
	object.Keyrings = map[string]string{}
	for entity, caps := range keys {
		if s.clientKeyrings[entity] == "" {
			keyring, err := s.keyring(ctx, entity, caps)
			if err != nil {
				return object, err
			}
			s.clientKeyrings[entity] = keyring
		}
		object.Keyrings[keyringFile(entity)] = s.clientKeyrings[entity]
	}
	return object, nil
}

func (b *builder) addMgrs() {
	for _, host := range b.g.mgrs {
		n := b.g.member(host)
		if n.isRunning(node.RoleMgr, host) {
			continue
		}
		object := b.objectFor(host)
		object.Roles = []string{node.RoleMgr}
		step := b.initStep(n.Node, "mgr "+host, "start mgr."+host, object,
			[]string{cephLine(authGet("mgr."+host, mgrCaps)) + "    # sent to the node"},
			func(ctx context.Context) (node.Object, error) {
				keyring, err := b.keyring(ctx, "mgr."+host, mgrCaps)
				out := object
				out.MgrKeyring = keyring
				return out, err
			})
		step.Together = "mgr"
		b.step(step)
	}
}

// addOSDs makes an OSD on each device that has none, and starts those that stand still.
func (b *builder) addOSDs() {
	for _, n := range b.g.members {
		for i := range n.facts.Devices {
			b.addOSD(n, &n.facts.Devices[i])
		}
	}
}

func (b *builder) addOSD(n *nodeView, d *node.DeviceFacts) {
	if info := b.v.existing(n, d); info != nil {
		if !n.isRunning(node.RoleOSD, strconv.Itoa(info.ID)) {
			b.start(n, node.RoleOSD, strconv.Itoa(info.ID))
		}
		return
	}
	if id, ok := b.v.lostOSD(n, d); ok {
		b.plan.Note("%s: nothing of %s is on %s any more: cephctl storage replace-osd %d", n.Name, osdName(id), d.Path, id)
		return
	}
	options, err := b.v.optionsOf(n.Name)
	if err != nil {
		return // checkMembers has said so
	}
	uuid := b.uuidFor(n, d)
	osd := node.OSD{ID: -1, UUID: uuid, Device: d.Stable, Backend: options.Backend, SizeBytes: options.FileSize}
	object := b.objectFor(n.host())
	object.Roles = []string{node.RoleOSD}
	known := object
	known.OSDs = []node.OSD{osd}
	step := b.initStep(n.Node, "osd "+n.Name+" "+d.Path, "make an OSD on "+d.Path, known, []string{
		"ceph osd new " + uuid + "    # gives the id",
		cephLine(authGet("osd.<id>", osdCaps)) + "    # sent to the node",
	}, func(ctx context.Context) (node.Object, error) { return b.osdObject(ctx, object, osd) })
	step.Together = "osd"
	b.step(step)
}

// uuidFor returns the uuid of the OSD that is to be on a device: that of one which the cluster knows and which was
// broken off, or that which this operation has chosen.
func (b *builder) uuidFor(n *nodeView, d *node.DeviceFacts) string {
	if d.OSD != nil && b.v.ceph != nil && b.v.ceph.osds.byUUID(d.OSD.UUID) != nil {
		return d.OSD.UUID
	}
	return b.g.memory.Keep(osdKey(n, d), control.NewUUID)
}

// existing returns the OSD of the cluster that is on a device and complete, or nil.
func (v *view) existing(n *nodeView, d *node.DeviceFacts) *osdInfo {
	if v.ceph == nil {
		return nil
	}
	if d.OSD != nil && d.OSD.Complete {
		info := v.ceph.osds.byUUID(d.OSD.UUID)
		if info != nil && n.daemon(node.RoleOSD, strconv.Itoa(info.ID)) != nil {
			return info
		}
	}
	return nil
}

// osdObject registers an OSD, unless it is, and fills in its number and key.
func (b *builder) osdObject(ctx context.Context, object node.Object, osd node.OSD) (node.Object, error) {
	out, err := b.ceph(ctx, "osd", "new", osd.UUID)
	if err != nil {
		return object, fmt.Errorf("register the OSD: %w", err)
	}
	osd.ID, err = strconv.Atoi(firstLine(out))
	if err != nil {
		return object, fmt.Errorf("register the OSD: read its number: %w", err)
	}
	osd.Secret, err = b.secret(ctx, osdName(osd.ID), osdCaps)
	object.OSDs = []node.OSD{osd}
	return object, err
}

// lostOSD returns the OSD of the cluster that the node has on a device and that is on it no more: the disk is dead, or
// another is in its place. Making one more OSD there would leave the old one in the cluster for ever. After a boot, the
// node does not know where the OSD of a device was that is gone: any of those that are gone will do.
func (v *view) lostOSD(n *nodeView, d *node.DeviceFacts) (id int, ok bool) {
	if d.OSD != nil || v.ceph == nil {
		return 0, false
	}
	for _, daemon := range n.facts.Daemons {
		id, err := strconv.Atoi(daemon.ID)
		onIt := daemon.Device == "" && !d.Exists || daemon.Device != "" && (daemon.Device == d.Path || daemon.Device == d.Stable)
		if daemon.Role == node.RoleOSD && err == nil && onIt && v.ceph.osds.osd(id) != nil {
			return id, true
		}
	}
	return 0, false
}

// settle waits until what was started has come up.
func (b *builder) settle(id string) {
	up := wanted{mons: b.g.here(b.g.mons), mgrs: len(b.g.mgrs), osds: b.wantedOSDs(), active: !b.isShort()}
	title := "wait until all daemons are up and all placement groups are active"
	if !up.active {
		title = "wait until all daemons are up"
	}
	b.step(control.Step{
		ID: id, Node: b.v.master.Name, Title: title,
		Commands: []string{"ceph status    # again and again, for " + b.Settle.String() + " at most"},
		Do: func(ctx context.Context, progress func(string)) error {
			calm := 0
			return b.poll(ctx, b.Settle, progress, func(ctx context.Context) (string, error) {
				status, err := b.status(ctx)
				if err != nil {
					return "no answer: " + reason(err), nil // while mons elect, nobody answers; the poll is bounded
				}
				if lack := status.lack(up); lack != "" {
					calm = 0
					return lack, nil
				}
				// Twice in a row: the mons learn of placement groups a moment later than of the OSD that changes them.
				if calm++; calm < 2 {
					return "looking once more", nil
				}
				return "", nil
			})
		},
	})
}

// isShort tells whether there are too few places for copies to write anything.
func (b *builder) isShort() bool {
	places := b.wantedOSDs()
	pool := b.v.ceph.pool(b.g.options.Pool)
	if pool == nil && wantedRule(b.g.hosts(), b.g.options.Size) == hostRule || pool != nil && b.domainOf(pool) != "osd" {
		places = min(places, b.g.hosts())
	}
	return places < b.g.options.MinSize
}

// wantedOSDs counts the OSDs that are up once the steps so far are done.
func (b *builder) wantedOSDs() int {
	count := 0
	for _, n := range b.g.members {
		for i := range n.facts.Devices {
			if _, lost := b.v.lostOSD(n, &n.facts.Devices[i]); !lost {
				count++
			}
		}
	}
	return count
}

// mark says in the inventory and on the nodes what they are now.
func (b *builder) mark(changes bool) {
	b.infos(changes)
	for _, n := range b.g.members {
		if n.Mark != Name || n.Offline {
			b.step(b.markNode(n))
		}
	}
	if g, _ := b.v.cluster.Group(b.g.group); g.Mark != Name || !b.isInitialised() {
		b.step(b.markGroup())
	}
}

// infos says on the nodes what they are: on all, as with one the roles of others change, or on those that are new.
func (b *builder) infos(all bool) {
	for _, n := range b.g.members {
		if n.Mark == Name && !all {
			continue
		}
		b.step(b.info(n, Name, b.rolesOf(n)))
	}
}

// info is a step that says on a node what it is.
func (b *builder) info(n *nodeView, storage string, roles []string) control.Step {
	info := nodeinfo.Info{
		Cluster: b.v.cluster.Name, Node: n.Name, Group: n.Group, Storage: storage, FSID: b.g.fsid, Roles: roles,
	}
	return control.Step{
		ID: "info " + n.Name, Node: n.Name, Title: "say on the node what it is", Together: "info",
		Commands: []string{"write /var/lib/cephctl/node.json (0644 root)"},
		Do: func(ctx context.Context, progress func(string)) error {
			info.Time = time.Now().UTC().Truncate(time.Second)
			return b.call(ctx, n.Node, nodeTimeout, "node-info", info, nil, progress)
		},
	}
}

// rolesOf are what a member is to run.
func (b *builder) rolesOf(n *nodeView) []string {
	var roles []string
	if slices.Contains(b.g.mons, n.host()) {
		roles = append(roles, node.RoleMon)
	}
	if slices.Contains(b.g.mgrs, n.host()) {
		roles = append(roles, node.RoleMgr)
	}
	return append(roles, node.RoleOSD)
}
