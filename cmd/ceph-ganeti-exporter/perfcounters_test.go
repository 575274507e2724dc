package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// perfCounter is a family that a daemon's own schema declares.
type perfCounter struct {
	help, kind string
	labels     map[string]bool
	daemons    map[string]bool
	releases   map[string]bool
}

// perfCounters are families by name. It takes what a scrape of a captured daemon gives.
type perfCounters struct {
	known           map[string]*perfCounter
	own             map[string]bool
	daemon, release string
}

// WriteFamily implements exporter.FamilyWriter.
func (p *perfCounters) WriteFamily(f *dto.MetricFamily) error {
	if p.own[f.GetName()] {
		return nil
	}
	c := p.known[f.GetName()]
	if c == nil {
		c = &perfCounter{
			help: f.GetHelp(), kind: strings.ToLower(f.GetType().String()),
			labels: map[string]bool{}, daemons: map[string]bool{}, releases: map[string]bool{},
		}
		p.known[f.GetName()] = c
	}
	c.daemons[p.daemon], c.releases[p.release] = true, true
	for _, m := range f.Metric {
		for _, l := range m.Label {
			c.labels[l.GetName()] = true
		}
	}
	return nil
}

// perfSection lists what daemons of the captured releases give with the default priority.
func perfSection(t *testing.T, out *bytes.Buffer) {
	t.Helper()
	p := &perfCounters{known: map[string]*perfCounter{}, own: map[string]bool{}}
	for _, f := range slices.Concat(exporter.SelfFamilies(), exporter.NewDaemon(exporter.DaemonOptions{}).Families()) {
		p.own[f.Name] = true
	}
	captured, err := filepath.Glob("../../ceph/adminsocket/testdata/ceph/*/*")
	if err != nil || len(captured) == 0 {
		t.Fatalf("no captured daemons: %v", err)
	}
	for _, dir := range captured {
		p.release, p.daemon = filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
		p.scrape(t, dir)
	}
	out.WriteString(`
## Perf counters
What the daemons' own schemas declare with a priority of 5 or more, as collector ` + "`daemon`" + ` gives it, all *Ceph*. Other releases and a lower
` + "`--collector.daemon.priority`" + ` give more. Source: ` + "`perf dump`" + `, from release 18 on ` + "`counter dump`" + `. Cost: that one command a daemon for all
of them, and the schema once in its life.

The counters of a RADOS gateway have ` + "`instance_id`" + ` in place of ` + "`ceph_daemon`" + `, by the rule of ceph-exporter: the fourth part of the
gateway's name between dots (of cephadm's ` + "`rgw.foo.node1.hrgsea.2.94`" + ` that is ` + "`hrgsea`" + `; of Debian's ` + "`rgw.gate.4711.94`" + `, which ends in the
process id and a number within it, ` + "`94`" + `), or the last part of one that begins with ` + "`radosgw`" + `. ceph-exporter leaves out a gateway whose name
has fewer parts, which ` + "`admin socket`" + ` in ceph.conf can make; ours gives it ` + "`ceph_daemon`" + `. ` + "`source_zone`" + ` is the whole name of the zone,
where ceph-exporter cuts it at the first hyphen or underscore. Before release 18 the images of an rbd-mirror stand in the names of counters;
they are labels here, as in the mgr's ` + "`prometheus`" + ` module.

| family | type | labels | meaning | daemons | releases |
|---|---|---|---|---|---|
`)
	for _, name := range slices.Sorted(maps.Keys(p.known)) {
		c := p.known[name]
		fmt.Fprintf(out, "| `%s` | %s | `%s` | %s | %s | %s |\n", name, c.kind, join(c.labels, "`, `"),
			cell(c.help), join(c.daemons, ", "), join(c.releases, ", "))
	}
}

func join(set map[string]bool, separator string) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), separator)
}

func (p *perfCounters) scrape(t *testing.T, dir string) {
	t.Helper()
	answers := map[string][]byte{adminsocket.Descriptions.String(): []byte(`{"a":{"sig":["perf","dump"]}}`)}
	for _, cmd := range adminsocket.Commands() {
		file := filepath.Join(dir, strings.ReplaceAll(cmd.String(), " ", "_")+".json")
		if answer, err := os.ReadFile(file); err == nil {
			answers[cmd.String()] = answer
		}
	}
	if answers[adminsocket.CounterDump.String()] != nil {
		answers[adminsocket.Descriptions.String()] = []byte(`{"a":{"sig":["counter","dump"]},"b":{"sig":["counter","schema"]}}`)
	}
	run, err := os.MkdirTemp("", "run") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	name := p.daemon + ".x"
	if p.daemon == "rgw" || p.daemon == "rbd-mirror" {
		name = "client." + name + ".4711.94"
	}
	server, err := asoktest.Listen(filepath.Join(run, "ceph-"+name+".asok"), answers)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	daemon := exporter.NewDaemon(exporter.DaemonOptions{RunDir: run, Procfs: "/proc", Priority: 5, Caller: &adminsocket.Client{}})
	e := exporter.New(exporter.Options{}, daemon)
	for range 2 { // a mon gives its counters from the second scrape on
		if err := e.Scrape(t.Context(), nil, p); err != nil {
			t.Fatal(err)
		}
	}
}
