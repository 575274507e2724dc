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
	binary, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	install := func(env ...string) string {
		cmd := exec.Command("../../packaging/install.sh", binary)
		cmd.Env = append(append(os.Environ(), "DESTDIR="+dest, "PREFIX=/usr", "SYSCONFDIR=/etc"), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("install.sh: %v\n%s", err, out)
		}
		return string(out)
	}
	if out := install("VERSION=devel"); !strings.Contains(out, "installing "+program+" devel\n") || strings.Contains(out, "warning") {
		t.Errorf("it says\n%s", out)
	}
	for name, want := range map[string]string{
		"usr/bin/" + program:                                       "",
		"usr/lib/systemd/system/" + program + ".service":           "ExecStart=/usr/bin/" + program + " --config.file=/etc/" + program + ".yml\n",
		"usr/share/man/man8/" + program + ".8":                     ".TH",
		"usr/share/man/man8/" + program + "-capture.8":             ".TH",
		"usr/share/bash-completion/completions/" + program:         program,
		"usr/share/zsh/site-functions/_" + program:                 program,
		"usr/share/fish/vendor_completions.d/" + program + ".fish": program,
		"usr/share/doc/" + program + "/prometheus.yml":             "honor_labels: true",
		"etc/" + program + ".yml":                                  "#collector:",
	} {
		text, err := os.ReadFile(filepath.Join(dest, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: error %v, or %q is not in it", name, err, want)
		}
	}
	config := filepath.Join(dest, "etc", program+".yml")
	if err := os.WriteFile(config, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := install("VERSION=v9.9.9")
	if !strings.Contains(out, "warning: "+binary+" is of devel and the source of v9.9.9") {
		t.Errorf("of a stale binary it says\n%s", out)
	}
	if !strings.Contains(out, "left "+config+" as it is") {
		t.Errorf("the second time it says\n%s", out)
	}
	if text, err := os.ReadFile(config); err != nil || string(text) != "mine" {
		t.Errorf("configuration is %q, error %v", text, err)
	}
}
