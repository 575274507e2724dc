package node

import (
	"context"
	"errors"
	"fmt"
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
		how := enabled
		if d.Role == RoleOSD {
			how = ""
		}
		stages = append(stages, startStage(l, d, "", how))
	}
	return stages
}

// refill activates an OSD whose data folder is empty, as it is after a boot when its activation has failed, or that has
// LVM and is not activated at a boot, as after it was stopped.
type refill struct{ daemon Daemon }

func (r refill) lines() []string {
	return []string{fmt.Sprintf("activate %s if its data folder is empty, or with LVM its activation disabled: systemctl restart %s, or "+
		"ceph-volume lvm activate --bluestore %s UUID", r.daemon, activation(r.daemon.ID), r.daemon.ID)}
}

func (r refill) do(ctx context.Context, h *Host) error {
	uid, _, err := h.ids(cephUser)
	if err != nil {
		return err
	}
	l := h.layout()
	osd, err := h.knownOSD(ctx, r.daemon)
	switch isFilled := filled(l.data(r.daemon), uid); {
	case err != nil:
		return err
	case osd.Backend == BackendLVM && (!isFilled || !exists(l.wanted("multi-user", osd.volumeTrigger()+".service"))):
		return activateNow(osd).do(ctx, h)
	case isFilled:
		return nil
	case exists(l.osdSetting(r.daemon.ID)):
		unit := activation(r.daemon.ID)
		return start{unit: unit, argv: []string{"systemctl", "restart", unit}}.do(ctx, h)
	}
	return fmt.Errorf("%s is empty, and nothing tells on which device %s is", l.data(r.daemon), r.daemon)
}

// knownOSD returns what is known on the host of an OSD of its cluster.
func (h *Host) knownOSD(ctx context.Context, d Daemon) (OSD, error) {
	conf, err := readConf(h.layout().conf())
	if err != nil {
		return OSD{}, err
	}
	details := h.newDetails(ctx, conf)
	osd, _ := details.knownOSD(d)
	return osd, errors.Join(details.problems...)
}
