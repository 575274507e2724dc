package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
)

// Remove stops daemons, so that they do not start at the next boot, and takes away what the removal names besides. It
// touches no data folder and no device that says that it is another cluster's, and can be repeated.
func (h *Host) Remove(ctx context.Context, removal Removal, progress func(string)) error {
	if err := removal.check(); err != nil {
		return err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	osds, err := h.osdsOf(ctx, removal)
	if err != nil {
		return err
	}
	return h.carryOut(ctx, tearDown(h.layout(), removal, osds), progress)
}

// RemoveCommands returns what Remove does when the removal's OSDs are these, a line each, as a person would type it.
func RemoveCommands(removal Removal, osds []OSD) []string {
	return show(tearDown(layout{}, removal, osds))
}

func (r Removal) check() error {
	errs := []error{checkUUID("fsid", r.FSID)}
	for _, d := range r.Daemons {
		errs = append(errs, d.check())
	}
	for _, osd := range r.HalfMade {
		errs = append(errs, osd.checkDevice(), checkUUID("uuid of the OSD on "+osd.Device, osd.UUID))
	}
	return errors.Join(errs...)
}

// osdsOf finds what the removal's OSDs have on the host, and refuses those of another cluster.
func (h *Host) osdsOf(ctx context.Context, removal Removal) ([]OSD, error) {
	var osds []OSD
	details := h.newDetails(ctx, &Conf{FSID: removal.FSID})
	for _, d := range removal.Daemons {
		if d.Role != RoleOSD {
			continue
		}
		osd, fsid := details.knownOSD(d)
		if fsid != "" && !sameID(fsid, removal.FSID) {
			return nil, fmt.Errorf("%s is of cluster %s, not %s", d, fsid, removal.FSID)
		}
		if osd.UUID != "" {
			osds = append(osds, osd)
		}
	}
	if removal.Data && len(details.problems) > 0 {
		return nil, fmt.Errorf("look for the OSDs' devices: %w", errors.Join(details.problems...))
	}
	return osds, nil
}

// tearDown is what Remove does: stop all, then take away each daemon's data, then what is the node's.
func tearDown(l layout, removal Removal, osds []OSD) []stage {
	var stages []stage
	if removal.Everything {
		stages = append(stages, stage{
			title:      "check " + l.conf(),
			operations: []operation{checkConf{path: l.conf(), fsid: removal.FSID}},
		})
	}
	for _, d := range removal.Daemons {
		stages = append(stages, stopStage(l, removal.FSID, d, osdOf(osds, d)))
	}
	if removal.Data {
		for _, d := range removal.Daemons {
			stages = append(stages, removeDataStage(l, removal.FSID, d, osdOf(osds, d)))
		}
		for _, osd := range removal.HalfMade {
			stages = append(stages, stage{title: "remove the OSD on " + osd.Device, operations: wipeOperations(osd, removal.FSID)})
		}
	}
	if removal.Everything {
		stages = append(stages, removeEverything(l))
	}
	return stages
}

// osdOf returns the OSD that a daemon is, or nil. An OSD without a number yet is that of a daemon without one.
func osdOf(osds []OSD, d Daemon) *OSD {
	i := slices.IndexFunc(osds, func(o OSD) bool {
		return d.Role == RoleOSD && (strconv.Itoa(o.ID) == d.ID || o.id() == d.ID)
	})
	if i < 0 {
		return nil
	}
	return &osds[i]
}

// stopStage stops a daemon. The units that activate it go before it, so that nothing starts it again.
func stopStage(l layout, fsid string, d Daemon, osd *OSD) stage {
	operations := []operation{checkData{path: l.data(d), fsid: fsid}}
	if osd != nil && osd.Backend == BackendLVM {
		operations = append(operations, stop{unit: osd.volumeTrigger()})
	}
	operations = append(operations, stop{unit: d.unit()})
	switch {
	case osd != nil && osd.Backend == BackendLVM:
		// By ceph-volume, until the next boot.
		operations = append(operations, command{argv: []string{"systemctl", "disable", "--runtime", d.unit()}, mayFail: true})
	case osd != nil && osd.Backend == BackendRaw:
		operations = append(operations, stop{unit: activation(d.ID), static: true})
	}
	return stage{title: "stop " + d.String(), operations: operations}
}

// removeDataStage takes away what a daemon has on disk. What says where its device is goes last.
func removeDataStage(l layout, fsid string, d Daemon, osd *OSD) stage {
	var operations []operation
	if osd != nil {
		operations = append(operations, wipeOperations(*osd, fsid)...)
	}
	if d.Role == RoleOSD {
		operations = append(operations, unmount{path: l.data(d)})
	}
	operations = append(operations, remove{path: l.data(d)})
	if d.Role == RoleMon {
		operations = append(operations, remove{path: l.data(d) + ".new"})
	}
	operations = append(operations, remove{path: l.scratch(d)})
	if osd != nil && osd.Backend == BackendRaw {
		operations = append(operations,
			remove{path: l.dropIn(d.ID), file: true}, removeEmpty{path: l.dropInDir(d.ID)}, remove{path: l.osdSetting(d.ID), file: true},
			run("systemctl", "daemon-reload"))
	}
	return stage{title: "remove the data of " + d.String(), operations: operations}
}

func wipeOperations(osd OSD, fsid string) []operation {
	switch {
	case osd.Device == "":
		return nil
	case osd.Backend == BackendLVM:
		return []operation{removeVolume{osd: osd, fsid: fsid}}
	case osd.Backend == BackendFile:
		return []operation{wipe{device: osd.Device, osd: osd, fsid: fsid}, remove{path: osd.Device, file: true}}
	}
	return []operation{wipe{device: osd.Device, osd: osd, fsid: fsid}}
}

// removeEverything takes away what is the node's own. ceph.conf goes last: it says of which cluster the rest is.
func removeEverything(l layout) stage {
	return stage{
		title: "remove configuration",
		operations: []operation{
			removeKeyrings{pattern: l.keyring("ceph.*.keyring")},
			removeEmpty{path: l.osdSettings()},
			removeActivation{unit: l.activationUnit(), settings: l.osdSettings()},
			removeEmpty{path: l.etcCephctl()},
			remove{path: l.nodeInfo(), file: true},
			removeEmpty{path: l.varCephctl()},
			remove{path: l.conf(), file: true},
		},
	}
}

// removeKeyrings takes the keyrings of the cluster away.
type removeKeyrings struct{ pattern string }

func (r removeKeyrings) lines() []string { return []string{"rm -f " + r.pattern} }

func (r removeKeyrings) do(ctx context.Context, h *Host) error {
	paths, err := filepath.Glob(r.pattern)
	if err != nil {
		return fmt.Errorf("find keyrings: %w", err)
	}
	for _, path := range paths {
		if err := (remove{path: path, file: true}).do(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// removeActivation takes the unit of raw OSDs away, if none is left that needs it.
type removeActivation struct{ unit, settings string }

func (r removeActivation) lines() []string {
	return []string{quote([]string{"rm", "-f", r.unit}), "systemctl daemon-reload"}
}

func (r removeActivation) do(ctx context.Context, h *Host) error {
	if exists(r.settings) || !exists(r.unit) {
		return nil
	}
	if err := (remove{path: r.unit, file: true}).do(ctx, h); err != nil {
		return err
	}
	return run("systemctl", "daemon-reload").do(ctx, h)
}
