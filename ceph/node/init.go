package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Init makes the host what the object says: ceph.conf, the keyrings, and the daemons of its roles in the order mon,
// mgr, osd. It returns when each of them answers. What is there already stays, and a run that was killed is continued.
func (h *Host) Init(ctx context.Context, obj Object, progress func(string)) error {
	if err := obj.check(); err != nil {
		return err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return h.carryOut(ctx, bringUp(h.layout(), obj), progress)
}

// InitCommands returns what Init does on a host where nothing is done yet, a line each, as a person would type it.
func InitCommands(obj Object) []string { return show(bringUp(layout{}, obj)) }

// bringUp is what Init does.
func bringUp(l layout, obj Object) []stage {
	stages := []stage{configure(l, obj)}
	for _, role := range []string{RoleMon, RoleMgr, RoleOSD} {
		if !slices.Contains(obj.Roles, role) {
			continue
		}
		switch role {
		case RoleMon:
			stages = append(stages, monStages(l, obj)...)
		case RoleMgr:
			stages = append(stages, mgrStages(l, obj)...)
		case RoleOSD:
			for _, osd := range obj.OSDs {
				stages = append(stages, osdStages(l, obj.FSID, osd)...)
			}
		}
	}
	return stages
}

// configure writes what is in /etc/ceph.
func configure(l layout, obj Object) stage {
	operations := []operation{
		checkConf{path: l.conf(), fsid: obj.FSID},
		makeDir{path: l.etcCeph(), mode: 0o755, owner: rootUser},
		writeFile{path: l.conf(), content: []byte(obj.Conf), mode: 0o644, owner: rootUser},
	}
	for _, name := range slices.Sorted(maps.Keys(obj.Keyrings)) {
		content, path := obj.Keyrings[name], l.keyring(name)
		if content == "" {
			operations = append(operations, remove{path: path, file: true})
			continue
		}
		operations = append(operations, writeFile{path: path, content: []byte(content), mode: 0o600, owner: rootUser})
	}
	return stage{title: "write " + l.conf() + " and keyrings", operations: operations}
}

// checkConf refuses a host that belongs to another cluster.
type checkConf struct{ path, fsid string }

func (c checkConf) lines() []string {
	return []string{fmt.Sprintf("check that %s is absent or of cluster %s", c.path, c.fsid)}
}

func (c checkConf) do(context.Context, *Host) error {
	conf, err := readConf(c.path)
	switch {
	case err != nil:
		return err
	case conf == nil || sameID(conf.FSID, c.fsid):
		return nil
	case conf.FSID == "":
		return fmt.Errorf("%s is there and names no fsid: it is not ours, move it away first", c.path)
	}
	return fmt.Errorf("%s is of cluster %s, not %s: the node belongs to another cluster", c.path, conf.FSID, c.fsid)
}
