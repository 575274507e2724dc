package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
)

func TestScrapeExample(t *testing.T) {
	clitest.Need(t, "promtool")
	out, err := exec.Command("promtool", "check", "config", "../../packaging/prometheus.yml").CombinedOutput()
	if err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestUnit checks the unit with a binary in the place where it says.
func TestUnit(t *testing.T) {
	clitest.Need(t, "systemd-analyze")
	text, err := os.ReadFile("../../packaging/ceph-ganeti-exporter.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "ceph-ganeti-exporter.service")
	text = []byte(strings.ReplaceAll(string(text), "/usr/local/bin/"+program, self))
	if err := os.WriteFile(unit, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		{"security", "--offline=true", "--threshold=20", unit}, // of 100; below 20 is "OK"
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

func TestInstall(t *testing.T) {
	clitest.Install(t, program, map[string]string{
		"usr/lib/systemd/system/" + program + ".service": "ExecStart=/usr/bin/" + program + " --config.file=/etc/" + program + ".yml\n",
		"usr/share/man/man8/" + program + "-capture.8":   ".TH",
		"usr/share/doc/" + program + "/prometheus.yml":   "honor_labels: true",
		"usr/share/doc/" + program + "/look.conf":        "AmbientCapabilities=CAP_SYS_PTRACE\n",
		"etc/" + program + ".yml":                        "#collector:",
	})
}
