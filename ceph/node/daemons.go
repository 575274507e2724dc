package node

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// daemons finds the daemons of the host: by their data folders, by what is to start at boot, and by what runs.
func (o *observer) daemons(ctx context.Context) {
	l := o.host.layout()
	found := make(map[Daemon]DaemonFacts)
	for _, role := range []string{RoleMon, RoleMgr, RoleOSD} {
		for _, d := range o.namesIn(l.path("var/lib/ceph", role), role, "ceph-", "") {
			found[d] = DaemonFacts{Daemon: d, Enabled: role == RoleOSD && len(l.triggers(d.ID)) > 0}
		}
		prefix := "ceph-" + role + "@"
		for _, d := range o.namesIn(filepath.Join(l.units(), "ceph-"+role+".target.wants"), role, prefix, ".service") {
			found[d] = DaemonFacts{Daemon: d, Enabled: true}
		}
	}
	o.unitStates(ctx, found)
	details := o.host.newDetails(ctx, o.facts.Conf)
	for d, facts := range found {
		details.fill(&facts)
		if facts.Role == RoleMon && facts.Active == "active" && facts.FSID == "" {
			facts.FSID = o.host.monFSID(ctx, d)
		}
		o.facts.Daemons = append(o.facts.Daemons, facts)
	}
	for _, err := range details.problems {
		o.problem("look for OSDs", err)
	}
	slices.SortFunc(o.facts.Daemons, compareDaemons)
}

// compareDaemons sorts mons, mgrs and OSDs, each by name or number.
func compareDaemons(a, b DaemonFacts) int {
	roles := []string{RoleMon, RoleMgr, RoleOSD}
	numberA, _ := strconv.Atoi(a.ID)
	numberB, _ := strconv.Atoi(b.ID)
	return cmp.Or(
		cmp.Compare(slices.Index(roles, a.Role), slices.Index(roles, b.Role)),
		cmp.Compare(numberA, numberB), cmp.Compare(a.ID, b.ID),
	)
}

// namesIn returns the daemons that the entries of a folder name.
func (o *observer) namesIn(folder, role, prefix, suffix string) []Daemon {
	entries, err := os.ReadDir(folder)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			o.problem("read folder", err)
		}
		return nil
	}
	var daemons []Daemon
	for _, entry := range entries {
		id, hasPrefix := strings.CutPrefix(entry.Name(), prefix)
		id, hasSuffix := strings.CutSuffix(id, suffix)
		d := Daemon{Role: role, ID: id}
		if hasPrefix && hasSuffix && !strings.HasSuffix(id, ".new") && d.check() == nil {
			daemons = append(daemons, d)
		}
	}
	return daemons
}

// unitStates asks systemd for the daemons' units, and for those of others that run.
func (o *observer) unitStates(ctx context.Context, found map[Daemon]DaemonFacts) {
	argv := []string{"systemctl", "show", "--property=Id,ActiveState", "ceph-mon@*", "ceph-mgr@*", "ceph-osd@*"}
	for d := range found {
		argv = append(argv, d.unit()+".service")
	}
	slices.Sort(argv[6:])
	shown, err := o.host.run(ctx, argv...)
	if o.problem("read state of units", err) {
		return
	}
	for _, unit := range parseUnits(shown) {
		d, ok := parseUnitName(unit["Id"])
		if !ok {
			continue
		}
		facts, known := found[d]
		if !known && unit["ActiveState"] == "inactive" {
			continue
		}
		facts.Daemon, facts.Active = d, unit["ActiveState"]
		found[d] = facts
	}
}

// parseUnitName reads "ceph-osd@3.service".
func parseUnitName(unit string) (Daemon, bool) {
	name, ok := strings.CutPrefix(strings.TrimSuffix(unit, ".service"), "ceph-")
	role, id, found := strings.Cut(name, "@")
	d := Daemon{Role: role, ID: id}
	return d, ok && found && d.check() == nil
}

// monFSID asks a running mon which cluster it is of.
func (h *Host) monFSID(ctx context.Context, d Daemon) string {
	answer, err := h.ask(ctx, h.layout().socket(d), await{daemon: d}.question())
	if err != nil {
		return ""
	}
	status, err := parseMonStatus(answer)
	if err != nil {
		return ""
	}
	return status.Monmap.FSID
}
