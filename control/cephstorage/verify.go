package cephstorage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Finding is something that is not as it should be.
type Finding struct {
	// Node is empty when it is the cluster's.
	Node string `json:"node,omitempty"`
	// Severity is SeverityError or SeverityWarning.
	Severity string `json:"severity"`
	Text     string `json:"text"`
	Cure     string `json:"cure,omitempty"`
}

// How bad a finding is.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Verify looks at everything on every node and lists all that is not as it should be.
func (s *Storage) Verify(ctx context.Context) ([]Finding, error) {
	st, err := s.env.Store.Load()
	if err != nil {
		return nil, err
	}
	v, err := s.observe(ctx, func(control.Node, state.Storage) bool { return true })
	if err != nil {
		return nil, err
	}
	var f findings
	if op := st.Operation; op != nil {
		f.add("", SeverityError, "run it again: "+op.Command, "an operation was begun and not finished")
	}
	s.verifyCluster(&f, v)
	s.verifyNodes(&f, v)
	if v.state.Group != "" {
		plan := s.next(v, st.Operation)
		for _, b := range plan.Blockers {
			f.add(b.Node, SeverityError, b.Cure, "%s", b.Text)
		}
		for _, step := range plan.Steps {
			if step.ID != "settle" {
				f.add(step.Node, SeverityWarning, initCommand(v.state.Group), "not done yet: %s", step.Title)
			}
		}
	}
	return f, nil
}

type findings []Finding

func (f *findings) add(node, severity, cure, format string, args ...any) {
	found := Finding{Node: node, Severity: severity, Text: fmt.Sprintf(format, args...), Cure: cure}
	if !slices.Contains(*f, found) {
		*f = append(*f, found)
	}
}

func (s *Storage) verifyCluster(f *findings, v *view) {
	c := v.ceph
	if c == nil {
		if !v.state.Initialised.IsZero() || !errors.Is(v.cephErr, errNoCluster) {
			f.add(v.master.Name, SeverityError, "see \"cephctl storage status\"", "the Ceph cluster does not answer: %v", v.cephErr)
		}
		return
	}
	if v.state.ID != "" && c.quorum.Monmap.FSID != v.state.ID {
		f.add(v.master.Name, SeverityError, "nothing is changed while that is so", "%s is of another cluster (fsid %s) than the inventory's (%s)",
			defaultConfig, c.quorum.Monmap.FSID, v.state.ID)
	}
	for name, check := range c.health.Checks {
		severity := SeverityWarning
		if check.Severity == "HEALTH_ERR" {
			severity = SeverityError
		}
		if !check.Muted {
			f.add("", severity, "see \"ceph health detail\"", "%s: %s", name, check.Summary.Message)
		}
	}
	if out := without(c.quorum.names(), c.quorum.Names); len(out) > 0 {
		f.add("", SeverityError, "see the journal of ceph-mon there", "mon.%s not in quorum", strings.Join(out, ", mon."))
	}
	if n := len(c.quorum.names()); n%2 == 0 {
		f.add("", SeverityWarning, "add a node to the storage group", "%d mons: one that is lost stops the cluster like with %d", n, n-1)
	}
	if g, ok := v.cluster.Group(v.state.Group); ok && g.Mark != Name && !v.state.Initialised.IsZero() {
		f.add("", SeverityError, initCommand(g.Name), "group %s is the storage group and has lost its mark", g.Name)
	}
	for _, name := range v.state.Clients {
		if _, ok := v.cluster.Group(name); !ok {
			f.add("", SeverityWarning, "cephctl storage remove-client "+name+"; if it was renamed, then cephctl storage add-client and its name",
				"there is no group %s any more, which was to be a client", name)
		}
	}
	if len(c.mgrs.names()) < 2 {
		f.add("", SeverityWarning, "add a node to the storage group", "no mgr stands by")
	}
}

func (s *Storage) verifyNodes(f *findings, v *view) {
	for _, n := range v.cluster.Nodes {
		seen := v.nodes[n.Name]
		switch {
		case n.Offline && seen.err != nil:
			continue // as it may be
		case seen.err != nil:
			f.add(n.Name, SeverityError, "", "%v", seen.err)
			continue
		case n.Offline:
			verifyOffline(f, v, seen)
			continue
		}
		s.verifyMarks(f, v, seen)
		s.verifyKeyrings(f, v, seen)
		s.verifyClient(f, v, seen)
		verifyMemory(f, v, seen)
		for _, d := range seen.facts.Daemons {
			if d.Active == "active" && !d.Enabled {
				f.add(n.Name, SeverityWarning, enabling(d), "%s does not start at the next boot", d.Daemon)
			}
		}
		for i := range seen.facts.Devices {
			d := &seen.facts.Devices[i]
			if id, lost := v.lostOSD(seen, d); lost {
				f.add(n.Name, SeverityError, fmt.Sprintf("cephctl storage replace-osd %d", id), "nothing of %s is on %s any more", osdName(id), d.Path)
			}
		}
		for _, problem := range seen.facts.Problems {
			f.add(n.Name, SeverityWarning, "", "%s", problem)
		}
	}
	if _, err := os.Stat(s.path(monKeyringPath)); err == nil && !v.state.Initialised.IsZero() {
		f.add(v.master.Name, SeverityWarning, "rm "+monKeyringPath, "the first keys still lie in %s", monKeyringPath)
	}
}

// verifyOffline looks for daemons that run on a node which is offline, or will at its next boot.
func verifyOffline(f *findings, v *view, n *nodeView) {
	var running []node.DaemonFacts
	for _, d := range n.facts.Daemons {
		if (d.Active == "active" || d.Enabled) && v.state.ID != "" && d.FSID == v.state.ID {
			running = append(running, d)
		}
	}
	if len(running) > 0 {
		f.add(n.Name, SeverityError, "cephctl node modify --offline=yes "+n.Name, "is offline, and has daemons that run or start at the next boot: %s", daemonNames(running))
	}
}

// verifyMemory finds a member whose instances have become too large for its OSDs.
func verifyMemory(f *findings, v *view, n *nodeView) {
	options, err := v.optionsOf(n.Name)
	if err != nil || n.Mark != Name {
		return // which is found elsewhere, or has no OSDs
	}
	if text := n.lacksMemory(options); text != "" {
		f.add(n.Name, SeverityWarning, memoryCure, "%s", text)
	}
}

// initCommand is what gives a group and its nodes what they lack.
func initCommand(group string) string {
	return "cephctl storage init-distributed-storage -s " + Name + " " + group
}

// enabling is the command that has a daemon start at a boot.
func enabling(d node.DaemonFacts) string {
	if d.Role == node.RoleOSD && d.Backend == node.BackendLVM {
		return "systemctl enable ceph-volume@lvm-" + d.ID + "-" + d.UUID
	}
	return "systemctl enable ceph-" + d.Role + "@" + d.ID
}

func (s *Storage) verifyMarks(f *findings, v *view, n *nodeView) {
	isMember := v.state.Group != "" && n.Group == v.state.Group && !v.state.Initialised.IsZero()
	switch {
	case isMember && n.Mark != Name && v.state.ID != "" && ours(n.facts.Daemons, v.state.ID):
		f.add(n.Name, SeverityError, initCommand(n.Group), "carries daemons of the storage cluster and has lost its mark")
	case isMember && n.Mark != Name:
		f.add(n.Name, SeverityError, "cephctl node add --readd "+n.Name, "is in the storage group and not enabled for it")
	case !isMember && n.Mark != "":
		f.add(n.Name, SeverityError, "cephctl node modify --offline=yes "+n.Name, "is marked for %s and not in the storage group", n.Mark)
	case !isMember && len(n.facts.Daemons) > 0 && v.state.ID != "" && ours(n.facts.Daemons, v.state.ID):
		f.add(n.Name, SeverityError, "cephctl node modify --offline=yes "+n.Name, "is not in the storage group and carries %s", daemonNames(n.facts.Daemons))
	}
}

func ours(daemons []node.DaemonFacts, fsid string) bool {
	return slices.ContainsFunc(daemons, func(d node.DaemonFacts) bool { return d.FSID == fsid })
}

// verifyKeyrings looks who can read the keyrings, and on which nodes the admin's is.
func (s *Storage) verifyKeyrings(f *findings, v *view, n *nodeView) {
	for _, file := range n.facts.Keyrings {
		if !strings.HasSuffix(file.Mode, "00") {
			f.add(n.Name, SeverityError, "chmod 600 "+etcCeph+"/"+file.Name, "%s/%s can be read by others (mode %s)", etcCeph, file.Name, file.Mode)
		}
		uses := n.Group == v.state.Group || slices.Contains(v.state.Clients, n.Group)
		if file.Name == adminKeyring && n != v.master && (!v.cluster.AdminClients || !uses) {
			f.add(n.Name, SeverityWarning, "remove it if nobody needs it there: rm "+defaultKeyring, "the admin's key lies here, and not only on the master")
		}
	}
}
