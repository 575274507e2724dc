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
func startStage(l layout, d Daemon, fsid string) stage {
	return stage{
		title: "start " + d.String(),
		operations: []operation{
			// Without it a unit that has failed a few times can't be started for half an hour.
			command{argv: []string{"systemctl", "reset-failed", d.unit()}, mayFail: true},
			start{unit: d.unit(), argv: []string{"systemctl", "enable", "--now", d.unit()}},
			await{daemon: d, socket: l.socket(d), fsid: fsid},
		},
	}
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
