package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
)

const exampleFile = "../../packaging/cephctl.yml"

const exampleHeading = `## Settings of cephctl, with their defaults. Lines with one # are settings to uncomment, together with the lines of the
## sections that they stand in.
`

// TestExampleConfiguration holds the example to the flags.
func TestExampleConfiguration(t *testing.T) {
	a := newApp()
	newRootCommand(a)
	clitest.Generated(t, exampleFile, rules().Example(a.config.flags, exampleHeading, func(key string) ([]string, string) {
		if section, name, ok := strings.Cut(key, "."); ok {
			return []string{section}, name
		}
		return nil, key
	}))
}

// With all settings uncommented the example is valid and changes nothing.
func TestExampleConfigurationIsValid(t *testing.T) {
	clitest.Example(t, exampleFile, rules(), func(file string) (*pflag.FlagSet, error) {
		a := newApp()
		newRootCommand(a)
		if err := a.config.flags.Set("config", file); err != nil {
			return nil, err
		}
		return a.config.flags, a.config.complete()
	})
}

// TestManPages holds the manual pages to the commands.
func TestManPages(t *testing.T) {
	clitest.ManPages(t, newRootCommand(newApp()), "../../packaging/man")
}

// TestCommandsReference holds docs/commands.md to the commands.
func TestCommandsReference(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("# Commands of cephctl\n\nGenerated from the commands' own help by `make docs`; a test keeps it true. Global flags stand with the first.\n" +
		"What is refused, and why, is in [refusals.md](refusals.md).\n")
	for _, cmd := range clitest.Commands(newRootCommand(newApp())) {
		if cmd.HasParent() && cmd.HasSubCommands() {
			continue
		}
		long, _, _ := strings.Cut(cmd.Long, "\nEXIT STATUS")
		if !cmd.HasParent() {
			long = cmd.Long
		}
		fmt.Fprintf(&out, "\n## %s\n```\n%s\n\nUsage:\n  %s\n", cmd.CommandPath(), strings.TrimSpace(long), cmd.UseLine())
		if cmd.Example != "" {
			fmt.Fprintf(&out, "\nExamples:\n%s\n", cmd.Example)
		}
		if flags := cmd.LocalFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(&out, "\nFlags:\n%s", flags)
		}
		out.WriteString("```\n")
	}
	clitest.Generated(t, "../../docs/commands.md", out.Bytes())
}

// refusal is a row of docs/refusals.md.
var refusal = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| .* \\| ([0-9]+) \\|$")

// TestRefusals holds docs/refusals.md to the scripts: each row is produced by refuse-CASE.txtar with its exit code.
func TestRefusals(t *testing.T) {
	text, err := os.ReadFile("../../docs/refusals.md")
	if err != nil {
		t.Fatal(err)
	}
	// The second table is held by the tests of control/cephstorage.
	own, _, _ := strings.Cut(string(text), "\n## ")
	var listed []string
	for _, row := range refusal.FindAllStringSubmatch(own, -1) {
		file := "testdata/script/refuse-" + row[1] + ".txtar"
		listed = append(listed, file)
		script, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%s is in the table and no test produces it: %v", row[1], err)
			continue
		}
		if !strings.Contains(string(script), "\nexits "+row[2]+" ") || !strings.Contains(string(script), row[1]) {
			t.Errorf("%s does not show case %s with exit code %s", file, row[1], row[2])
		}
	}
	scripts, err := filepath.Glob("testdata/script/refuse-*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(scripts, listed); diff != "" {
		t.Errorf("scripts and rows of docs/refusals.md (-scripts +rows):\n%s", diff)
	}
}

func TestInstall(t *testing.T) {
	clitest.Install(t, program, map[string]string{
		"usr/share/man/man8/cephctl-node-add.8": ".TH",
		"etc/cephctl.yml":                       "#state-dir:",
	})
}

// TestWords holds the commands to knowing no storage type: only the files that wire them may, and those about a risk that
// no other type has.
func TestWords(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if slices.Contains([]string{"storagetypes.go", "storagecluster.go", "loopback_check.go", "loopback_plan.go"}, file) || strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rest := regexp.MustCompile(`(?i)ceph-ganeti/|ceph-ganeti-exporter|cephctl|ceph:[a-z]|-s ceph|example ceph`).ReplaceAllString(string(text), "")
		if strings.Contains(strings.ToLower(rest), "ceph") {
			t.Errorf("%s knows a storage type", file)
		}
	}
}
