package node

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// Start starts daemons whose data is complete, now and at each boot, and returns when each of them answers.
func (h *Host) Start(ctx context.Context, daemons []Daemon, progress func(string)) error {
	for _, d := range daemons {
		if err := d.check(); err != nil {
			return err
		}
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return h.carryOut(ctx, starts(h.layout(), daemons), progress)
}

// StartCommands returns what Start does, a line each, as a person would type it.
func StartCommands(daemons []Daemon) []string { return show(starts(layout{}, daemons)) }

func starts(l layout, daemons []Daemon) []stage {
	var stages []stage
	for _, d := range daemons {
		if d.Role == RoleOSD {
			stages = append(stages, stage{title: "activate " + d.String(), operations: []operation{refill{daemon: d}}})
		}
		stages = append(stages, startStage(l, d, ""))
	}
	return stages
}

// refill activates an OSD whose data folder is empty, as it is after a boot when its activation has failed.
type refill struct{ daemon Daemon }

func (r refill) lines() []string {
	return []string{fmt.Sprintf("activate %s if its data folder is empty: systemctl restart %s, or with LVM "+
		"ceph-volume lvm activate --bluestore %s UUID", r.daemon, activation(r.daemon.ID), r.daemon.ID)}
}

func (r refill) do(ctx context.Context, h *Host) error {
	uid, _, err := h.ids(cephUser)
	if err != nil {
		return err
	}
	l := h.layout()
	if filled(l.data(r.daemon), uid) {
		return nil
	}
	if exists(l.osdSetting(r.daemon.ID)) {
		unit := activation(r.daemon.ID)
		return start{unit: unit, argv: []string{"systemctl", "restart", unit}}.do(ctx, h)
	}
	triggers, _ := filepath.Glob(l.wanted("multi-user", "ceph-volume@lvm-"+r.daemon.ID+"-*.service"))
	if len(triggers) != 1 {
		return fmt.Errorf("%s is empty, and %d units activate it", l.data(r.daemon), len(triggers))
	}
	uuid := strings.TrimSuffix(filepath.Base(triggers[0]), ".service")
	uuid = strings.TrimPrefix(uuid, "ceph-volume@lvm-"+r.daemon.ID+"-")
	return start{
		unit: r.daemon.unit(), argv: []string{"ceph-volume", "lvm", "activate", "--bluestore", r.daemon.ID, uuid},
	}.do(ctx, h)
}
