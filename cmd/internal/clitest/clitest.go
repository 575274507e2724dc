// Package clitest is what the tests of the programs share.
package clitest

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/settings"
)

var update = flag.Bool("update", false, "write the generated files anew")

// Generated compares a file with what it is generated from. With -update it is written.
func Generated(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date, run make docs:\n%s", path, diff)
	}
}

// ManPages holds the manual pages in a folder to the commands, all that are not hidden.
func ManPages(t *testing.T, root *cobra.Command, dir string) {
	t.Helper()
	date := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, cmd := range Commands(root) {
		cmd.DisableAutoGenTag = true
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "8", Source: root.Name(), Date: &date}
		var page bytes.Buffer
		if err := doc.GenMan(cmd, header, &page); err != nil {
			t.Fatal(err)
		}
		Generated(t, filepath.Join(dir, name+".8"), page.Bytes())
	}
}

// Commands returns a command and all below it that are not hidden.
func Commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			all = append(all, Commands(c)...)
		}
	}
	return all
}

// Example holds a configuration file to the flags: with all of it uncommented every setting is there and has its
// default. complete reads the settings of a file into flags.
func Example(t *testing.T, path string, r *settings.Rules, complete func(file string) (*pflag.FlagSet, error)) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(file, settings.Uncomment(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := complete(file)
	if err != nil {
		t.Fatal(err)
	}
	r.Visit(f, func(flag, key string) {
		if !f.Changed(flag) {
			t.Errorf("%s is missing", key)
		}
		if diff := cmp.Diff(f.Lookup(flag).DefValue, f.Lookup(flag).Value.String()); diff != "" {
			t.Errorf("%s has not its default (-want +got):\n%s", key, diff)
		}
	})
}

// Exits is the command "exits CODE COMMAND..." of scripts: it runs a command that has to end with the given code.
func Exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// Need skips a test that needs a program which is not installed. In CI it fails instead.
func Need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}
