package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// startStage starts a daemon, now and at each boot, and waits until it does its work.
func startStage(l layout, d Daemon, fsid string, how boot) stage {
	return stage{
		title: "start " + d.String(),
		operations: []operation{
			// Without it a unit that has failed a few times can't be started for half an hour.
			command{argv: []string{"systemctl", "reset-failed", d.unit()}, mayFail: true},
			startDaemon{daemon: d, how: how},
			await{daemon: d, socket: l.socket(d), fsid: fsid},
		},
	}
}

// boot says how a daemon starts at a boot; "" when that is found out.
type boot string

const (
	// enabled is when its own unit is.
	enabled boot = "enable --now"
	// activated is when ceph-volume's unit is, which starts the daemon once its data folder is filled. Started before, it
	// would fail, and after a few times systemd gives up.
	activated boot = "start"
)

// startDaemon starts the unit of a daemon.
type startDaemon struct {
	daemon Daemon
	how    boot
}

func (s startDaemon) as(how boot) start {
	return start{unit: s.daemon.unit(), argv: append(append([]string{"systemctl"}, strings.Fields(string(how))...), s.daemon.unit())}
}

func (s startDaemon) lines() []string {
	if s.how == "" {
		return []string{s.as(enabled).lines()[0] + ", or with LVM " + s.as(activated).lines()[0]}
	}
	return s.as(s.how).lines()
}

func (s startDaemon) do(ctx context.Context, h *Host) error {
	how := s.how
	if how == "" {
		how = enabled
		if len(h.layout().triggers(s.daemon.ID)) > 0 {
			how = activated
		}
	}
	return s.as(how).do(ctx, h)
}

// start runs a systemctl that starts a unit. Its error holds what the unit has said.
type start struct {
	unit string
	argv []string
}

func (s start) lines() []string { return run(s.argv...).lines() }

func (s start) do(ctx context.Context, h *Host) error {
	if err := run(s.argv...).do(ctx, h); err != nil {
		return h.withJournal(ctx, s.unit, err)
	}
	return nil
}

// withJournal adds the last lines of a unit's journal to an error.
func (h *Host) withJournal(ctx context.Context, unit string, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	journal, readErr := h.run(ctx, "journalctl", "-u", unit, "-n", "15", "--no-pager", "-o", "cat")
	said := strings.TrimSpace(string(journal))
	if readErr != nil || said == "" {
		return err
	}
	return fmt.Errorf("%w; the journal of %s ends with:\n%s", err, unit, said)
}

var errUnitFailed = errors.New("the unit does not stay up")

// checkUnit returns an error when the unit has given up, or dies again and again.
func (h *Host) checkUnit(ctx context.Context, unit string) error {
	shown, err := h.run(ctx, "systemctl", "show", "--property=ActiveState,Result,NRestarts", unit)
	if err != nil {
		return err
	}
	states := parseUnits(shown)
	if len(states) != 1 {
		return fmt.Errorf("read the state of %s: %d answers", unit, len(states))
	}
	restarts, _ := strconv.Atoi(states[0]["NRestarts"])
	if state := states[0]["ActiveState"]; state == "failed" || state == "inactive" || restarts > 1 {
		return fmt.Errorf("%w: %s is %s (%s)", errUnitFailed, unit, state, states[0]["Result"])
	}
	return nil
}

// parseUnits reads `systemctl show`: a block of KEY=VALUE lines for each unit.
func parseUnits(shown []byte) []map[string]string {
	var units []map[string]string
	var unit map[string]string
	for line := range strings.Lines(string(shown)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found {
			unit = nil
			continue
		}
		if unit == nil {
			unit = make(map[string]string)
			units = append(units, unit)
		}
		unit[key] = value
	}
	return units
}
