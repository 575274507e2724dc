package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

const exampleFile = "../../packaging/ceph-ganeti-exporter.yml"

// TestExampleConfiguration holds the example to the flags: it has every setting, with the default.
func TestExampleConfiguration(t *testing.T) {
	generated(t, exampleFile, example(newFlags(&config{})))
}

// With all settings uncommented the example is valid and changes nothing.
func TestExampleConfigurationIsValid(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "##") {
			line = strings.TrimPrefix(line, "#")
		}
		lines = append(lines, line)
	}
	file := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &config{}
	f := newFlags(c)
	if err := f.Parse([]string{"--config.file=" + file}); err != nil {
		t.Fatal(err)
	}
	if err := c.complete(f); err != nil {
		t.Fatal(err)
	}
	visit(f, func(flag, key string) {
		if !f.Changed(flag) {
			t.Errorf("%s is missing", key)
		}
		if diff := cmp.Diff(f.Lookup(flag).DefValue, f.Lookup(flag).Value.String()); diff != "" {
			t.Errorf("%s has not its default (-want +got):\n%s", key, diff)
		}
	})
}

func example(f *pflag.FlagSet) []byte {
	var out bytes.Buffer
	out.WriteString(`## Settings of ceph-ganeti-exporter, with their defaults. Lines with one # are settings to uncomment, together with
## the lines of the sections that they stand in. Check with ceph-ganeti-exporter --config.check --config.file=FILE,
## then systemctl reload ceph-ganeti-exporter. What begins with web or log changes with a restart only.
`)
	f.SortFlags = false
	var open []string
	visit(f, func(flag, key string) {
		parts := strings.Split(key, ".")
		sections := sectionsOf(key)
		for i, section := range sections {
			if i < len(open) && open[i] == section {
				continue
			}
			open = open[:min(i, len(open))]
			fmt.Fprintf(&out, "\n#%s%s:", strings.Repeat("  ", i), section)
			open = append(open, section)
		}
		open = open[:len(sections)]
		indent := strings.Repeat("  ", len(sections))
		name := strings.Join(parts[len(sections):], ".")
		fmt.Fprintf(&out, "\n##%s%s\n#%s%s: %s", indent, f.Lookup(flag).Usage, indent, name, yamlValue(f.Lookup(flag)))
	})
	out.WriteString("\n")
	return out.Bytes()
}

// sectionsOf splits a key: "collector.krbd.enabled" stands in collector and krbd, "web.config.file" in web.
func sectionsOf(key string) []string {
	parts := strings.Split(key, ".")
	if parts[0] == "collector" {
		return parts[:2]
	}
	return parts[:1]
}

func yamlValue(flag *pflag.Flag) string {
	switch v := flag.Value.(type) {
	case pflag.SliceValue:
		return fmt.Sprintf("%q", v.GetSlice())
	}
	switch flag.Value.Type() {
	case "bool", "int", "duration":
		return flag.DefValue
	}
	return fmt.Sprintf("%q", flag.DefValue)
}
