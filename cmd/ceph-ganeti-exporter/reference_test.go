package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

const referenceFile = "../../docs/metrics.md"

// TestMetricsReference holds docs/metrics.md to the families that the collectors declare.
func TestMetricsReference(t *testing.T) {
	clitest.Generated(t, referenceFile, reference(t))
}

func reference(t *testing.T) []byte {
	t.Helper()
	c := &config{}
	f := newFlags(c)
	if err := f.Parse(nil); err != nil {
		t.Fatal(err)
	}
	for name := range c.Enabled {
		*c.Enabled[name] = true
	}
	var out bytes.Buffer
	out.WriteString(`# Metrics

Generated from the collectors' own tables by ` + "`make docs`" + `; a test keeps it true. Families marked *Ceph* keep the
name and labels of Ceph's own exporters. Cost is what one scrape costs whom. A label without a value is left out.
In the OpenMetrics format counters without ` + "`_total`" + ` are of type unknown, so that their names stay.
`)
	section(&out, "The scrape", exporter.SelfFamilies())
	for _, col := range newCollectors(c, newSources(c, new(adminsocket.Client), nil)) {
		section(&out, "Collector `"+col.Name()+"`", col.Families())
	}
	perfSection(t, &out)
	return out.Bytes()
}

func section(out *bytes.Buffer, title string, families []*exporter.Family) {
	families = slices.SortedFunc(slices.Values(families), func(a, b *exporter.Family) int {
		return cmp.Compare(a.Name, b.Name)
	})
	fmt.Fprintf(out, "\n## %s\n| family | type | labels | meaning | source | cost |\n|---|---|---|---|---|---|\n", title)
	for _, f := range families {
		name := "`" + f.Name + "`"
		if f.Ceph {
			name += " *Ceph*"
		}
		labels := "–"
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", name, f.Kind, labels, cell(f.Help), cell(f.Source), cell(f.Cost))
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
