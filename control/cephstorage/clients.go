package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// AddClient returns the change that makes the online nodes of a group clients of the storage cluster: they get its
// ceph.conf and the keys of instances and the exporter, and run nothing of it.
func (s *Storage) AddClient(group, command string) control.Change {
	return control.Change{
		Kind: "add-client", Target: group, Command: command,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			return s.planAddClient(ctx, group)
		},
	}
}

func (s *Storage) planAddClient(ctx context.Context, group string) (*control.Plan, error) {
	plan := &control.Plan{Title: "make group " + group + " a client of the storage cluster"}
	v, err := s.observeFor(ctx, plan, func(n control.Node) bool { return n.Group == group && !n.Offline })
	if err != nil {
		return nil, err
	}
	if _, ok := v.cluster.Group(group); !ok {
		return nil, fmt.Errorf("group %s: %w: see \"cephctl group list\"", group, control.ErrUnknown)
	}
	if v.state.Initialised.IsZero() {
		plan.Blockers = nil // that it does not answer is no wonder
		plan.Block("", "no-storage-cluster", "make it: cephctl storage init-distributed-storage", "there is no storage cluster of cephctl's")
		return plan, nil
	}
	if group == v.state.Group {
		plan.Block("", "client-is-storage-group", "name another group", "group %s is the storage group: its nodes have all that clients have", group)
	}
	for _, n := range v.cluster.Members(group) {
		if n.Offline {
			plan.Note("%s is offline and left out: run this again when it is back", n.Name)
		}
	}
	members := v.members(group)
	checkClients(plan, v, members)
	if len(plan.Blockers) > 0 {
		return plan, nil
	}
	return plan, s.clientSteps(plan, v, group, members)
}

// checkClients adds all the reasons why nodes can't be clients.
func checkClients(plan *control.Plan, v *view, members []*nodeView) {
	for _, n := range members {
		if n.err != nil {
			plan.Block(n.Name, "node-unreachable", "", "%v", n.err)
			continue
		}
		checkTools(plan, n)
		checkConf(plan, n, v.state.ID)
		checkDaemons(plan, n, v.state.ID)
	}
}

// checkTools wants what a node needs that runs none of Ceph's daemons.
func checkTools(plan *control.Plan, n *nodeView) {
	if n.facts.Packages["ceph-common"] == "" {
		plan.Block(n.Name, "packages-missing", "apt-get install ceph-common", "Ceph's tools are not installed (ceph-common)")
	}
}

// clientSteps plans what nodes lack to be clients, and that their group is remembered.
func (s *Storage) clientSteps(plan *control.Plan, v *view, group string, members []*nodeView) error {
	options, err := v.optionsOf("")
	if err != nil {
		return err
	}
	object, keys := node.Object{FSID: v.state.ID, Conf: v.clientConf(options)}, v.clientKeys(options)
	for _, n := range members {
		if n.isClient(object.Conf, keys) {
			continue
		}
		known := object
		known.Keyrings = shownKeyrings(keys)
		step := s.initStep(n.Node, "client "+n.Name, "write ceph.conf and the keyrings of instances and the exporter", known,
			[]string{
				cephLine(authGet(exporterEntity, exporterCaps)) + "    # sent to the node",
				cephLine(authGet(instanceEntity, instanceCaps(options.Pool))) + "    # sent to the node",
			},
			func(ctx context.Context) (node.Object, error) { return s.withKeyrings(ctx, object, keys) })
		step.Together = "client"
		plan.Steps = append(plan.Steps, step)
	}
	if !slices.Contains(v.state.Clients, group) {
		plan.Steps = append(plan.Steps, s.rememberClient(v, group))
	}
	return nil
}

// joinClients plans that a node which comes into a group becomes a client with it, when it is a client group.
func (b *builder) joinClients(n *nodeView, group string) error {
	if !slices.Contains(b.v.state.Clients, group) {
		return nil
	}
	if b.v.ceph == nil {
		b.plan.Block(b.v.master.Name, "no-answer", "see \"cephctl storage status\"", "the Ceph cluster does not answer: %v", b.v.cephErr)
	}
	checkClients(b.plan, b.v, []*nodeView{n})
	if len(b.plan.Blockers) > 0 {
		return nil
	}
	return b.clientSteps(b.plan, b.v, group, []*nodeView{n})
}

func (s *Storage) rememberClient(v *view, group string) control.Step {
	return control.Step{
		ID: "client group " + group, Node: v.master.Name, Title: "remember that group " + group + " is a client",
		Commands: []string{"state: the nodes of group " + group + " are clients of the storage cluster"},
		Do: func(context.Context, func(string)) error {
			return s.remember(func(st *state.Storage) {
				if !slices.Contains(st.Clients, group) {
					st.Clients = append(st.Clients, group)
				}
			})
		},
	}
}

// clientConf is the ceph.conf of a host without daemons, with the mons as they are now.
func (v *view) clientConf(options settings) string {
	addresses := map[string]string{}
	for _, m := range v.ceph.quorum.Monmap.Mons {
		addresses[m.Name] = m.Addrs.String()
	}
	c := newConf(v.state.ID, options, addresses)
	return c.String()
}

// clientKeys are the keys that a client has, with their caps, as those of members are.
func (v *view) clientKeys(options settings) map[string][]string {
	keys := map[string][]string{exporterEntity: exporterCaps, instanceEntity: instanceCaps(options.Pool)}
	if v.cluster.AdminClients {
		keys[adminEntity] = nil
	}
	return keys
}

// isClient tells whether a node has the ceph.conf that it should have, and the keys of instances and the exporter.
func (n *nodeView) isClient(content string, keys map[string][]string) bool {
	return n.facts.Conf != nil && n.facts.Conf.SHA256 == checksum(content) && n.hasKeyrings(keys)
}

// verifyClient finds a node of a client group that is none: it was added or was offline when the others became clients,
// or the mons have changed since.
func (s *Storage) verifyClient(f *findings, v *view, n *nodeView) {
	if v.ceph == nil || !slices.Contains(v.state.Clients, n.Group) {
		return
	}
	cure := "cephctl storage add-client " + n.Group
	options, err := v.optionsOf("")
	switch {
	case err != nil: // which is found elsewhere
	case n.facts.Conf == nil:
		f.add(n.Name, SeverityError, cure, "is in the client group %s and has no %s", n.Group, defaultConfig)
	case n.facts.Conf.FSID != v.state.ID:
		f.add(n.Name, SeverityError, "nothing is overwritten; if that cluster is gone, move the file away, then "+cure,
			"is in the client group %s, and its %s is of another cluster (fsid %s)", n.Group, defaultConfig, n.facts.Conf.FSID)
	case !n.isClient(v.clientConf(options), v.clientKeys(options)):
		f.add(n.Name, SeverityWarning, cure, "is in the client group %s, and its ceph.conf or a keyring is not as it should be", n.Group)
	}
}

// destroyClients takes ceph.conf and keys off clients. One that does not answer is left as it is.
func (b *builder) destroyClients() {
	for _, group := range b.v.state.Clients {
		for _, n := range b.v.members(group) {
			switch {
			case n.err != nil:
				b.plan.Note("%s does not answer: its ceph.conf and keyrings are left on it", n.Name)
			case n.facts.Conf != nil && n.facts.Conf.FSID == b.g.fsid:
				b.step(b.removeStep(n, "destroy client "+n.Name, "remove ceph.conf and the keyrings", node.Removal{FSID: b.g.fsid, Everything: true}))
			}
		}
	}
	if len(b.v.state.Clients) > 0 {
		b.plan.Destroys = append(b.plan.Destroys, "ceph.conf and keys on the nodes of "+strings.Join(b.v.state.Clients, ", "))
	}
}
