package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

const listUnits = "systemctl list-units --all --plain --no-legend --full 'cephctl-*.service'"

func TestBackground(t *testing.T) {
	runner := controltest.NewRunner(t, controltest.Answer{Command: listUnits, Stdout: `cephctl-offline-node3.lab.service loaded active running /usr/sbin/cephctl --unattended node modify --offline=yes --yes node3.lab
cephctl-readd-node2.lab.service loaded failed failed [systemd-run] /usr/sbin/cephctl --unattended node add --readd node2.lab
cephctl-osd@4.service loaded active running Ceph object storage daemon osd.4
other.service loaded active running other
`})
	got, err := background(t.Context(), runner)
	want := []backgroundUnit{
		{"cephctl-offline-node3.lab.service", "running", "/usr/sbin/cephctl --unattended node modify --offline=yes --yes node3.lab"},
		{"cephctl-readd-node2.lab.service", "failed", "/usr/sbin/cephctl --unattended node add --readd node2.lab"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
	var out bytes.Buffer
	newApp().writeStatus(&out, &statusOutput{storageStatus: &storageStatus{}, Background: got})
	if line := "in the background: cephctl-offline-node3.lab.service (running): /usr/sbin/cephctl --unattended"; !strings.Contains(out.String(), line) {
		t.Errorf("it is not shown:\n%s", out.String())
	}
	runner.Add(controltest.Answer{Command: listUnits, Code: 1, Stderr: "System has not been booted with systemd"})
	if _, err := background(t.Context(), runner); err == nil || !strings.HasPrefix(err.Error(), "look what works in the background: ") {
		t.Errorf("without systemd: %v", err)
	}
}
