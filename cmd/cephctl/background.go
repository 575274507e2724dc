package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// unitPrefix is how the names of the units of systemd begin in which hooks let cephctl work.
const unitPrefix = "cephctl-"

// unitFailed is the state of a unit that has ended with an error.
const unitFailed = "failed"

// backgroundUnit is what cephctl does in the background, as a hook of Ganeti's has begun it.
type backgroundUnit struct {
	Unit string `json:"unit"`
	// State is systemd's, for example "running" or "failed".
	State string `json:"state"`
	// Command is the command line.
	Command string `json:"command"`
}

// background lists what works in the background on this host.
// Similar to: systemctl list-units 'cephctl-*.service'
func background(ctx context.Context, runner control.Runner) ([]backgroundUnit, error) {
	out, err := runner.Run(ctx, nil, "systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", unitPrefix+"*.service")
	if err != nil {
		return nil, fmt.Errorf("look what works in the background: %w", err)
	}
	return parseUnits(string(out)), nil
}

// parseUnits reads lines of a unit, whether it is loaded, active, its state, and a description, which of a transient unit is
// its command line.
func parseUnits(text string) []backgroundUnit {
	var units []backgroundUnit
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 5 || !strings.HasPrefix(words[0], unitPrefix) || strings.Contains(words[0], "@") {
			continue // instances of templates are daemons
		}
		command := strings.TrimPrefix(strings.Join(words[4:], " "), "[systemd-run] ") // newer releases of systemd say so
		units = append(units, backgroundUnit{Unit: words[0], State: words[3], Command: command})
	}
	return units
}
