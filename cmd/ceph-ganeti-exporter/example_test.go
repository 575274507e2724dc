package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
)

const exampleFile = "../../packaging/ceph-ganeti-exporter.yml"

const exampleHeading = `## Settings of ceph-ganeti-exporter, with their defaults. Lines with one # are settings to uncomment, together with
## the lines of the sections that they stand in. Check with ceph-ganeti-exporter --config.check --config.file=FILE,
## then systemctl reload ceph-ganeti-exporter. What begins with web or log changes with a restart only.
`

// TestExampleConfiguration holds the example to the flags: it has every setting, with the default.
func TestExampleConfiguration(t *testing.T) {
	clitest.Generated(t, exampleFile, rules().Example(newFlags(&config{}), exampleHeading, sectionsOf))
}

// With all settings uncommented the example is valid and changes nothing.
func TestExampleConfigurationIsValid(t *testing.T) {
	clitest.Example(t, exampleFile, rules(), func(file string) (*pflag.FlagSet, error) {
		c := &config{}
		f := newFlags(c)
		if err := f.Parse([]string{"--config.file=" + file}); err != nil {
			return nil, err
		}
		return f, c.complete(f)
	})
}

// sectionsOf splits a key: "collector.krbd.enabled" stands in collector and krbd, "web.config.file" in web.
func sectionsOf(key string) ([]string, string) {
	parts := strings.Split(key, ".")
	n := 1
	if parts[0] == "collector" {
		n = 2
	}
	return parts[:n], strings.Join(parts[n:], ".")
}
