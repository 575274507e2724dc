package clitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Install installs a program and looks for files with a text in them, by their paths below the root: those that every
// program has, and more. It installs a second time, over a changed configuration and as if from another version.
func Install(t *testing.T, program string, more map[string]string) {
	t.Helper()
	binary, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	if out := install(t, binary, dest, "devel"); !strings.Contains(out, "installing "+program+" devel\n") || strings.Contains(out, "warning") {
		t.Errorf("it says\n%s", out)
	}
	found(t, dest, map[string]string{
		"usr/bin/" + program:                                       "",
		"usr/share/man/man8/" + program + ".8":                     ".TH",
		"usr/share/bash-completion/completions/" + program:         program,
		"usr/share/zsh/site-functions/_" + program:                 program,
		"usr/share/fish/vendor_completions.d/" + program + ".fish": program,
	})
	found(t, dest, more)

	config := filepath.Join(dest, "etc", program+".yml")
	if err := os.WriteFile(config, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := install(t, binary, dest, "v9.9.9")
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

func install(t *testing.T, binary, dest, version string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../packaging/install.sh", binary)
	cmd.Env = append(os.Environ(), "DESTDIR="+dest, "PREFIX=/usr", "SYSCONFDIR=/etc", "VERSION="+version)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("install.sh: %v\n%s", err, out)
	}
	return string(out)
}

func found(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, want := range files {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: error %v, or %q is not in it", name, err, want)
		}
	}
}
