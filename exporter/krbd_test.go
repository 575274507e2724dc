package exporter

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

func TestKRBD(t *testing.T) {
	ganeti := t.TempDir()
	link := func(name, target string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(ganeti, "instance-disks", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(ganeti, "instance-disks"), 0o755); err != nil {
		t.Fatal(err)
	}
	link("web1.example.org:0", "/dev/rbd0")
	link("web1.example.org:1", "/dev/rbd7")
	link("db1.example.org:0", "/dev/drbd0")

	got := ownFamilies(t, NewKRBD(KRBDOptions{Sysfs: "../ceph/krbd/testdata/linux/6.1/two", GanetiRun: ganeti}))
	checkGolden(t, "testdata/krbd.prom", got)
}

// A node without the rbd module, and without Ganeti, is not a failure.
func TestKRBDWithoutModule(t *testing.T) {
	var log bytes.Buffer
	e := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, NewKRBD(KRBDOptions{Sysfs: t.TempDir(), GanetiRun: t.TempDir()}))
	if err := e.Scrape(t.Context(), nil, familyWriter{expfmt.NewEncoder(io.Discard, expfmt.NewFormat(expfmt.TypeTextPlain))}); err != nil {
		t.Fatal(err)
	}
	if log.Len() != 0 {
		t.Errorf("logged:\n%s", &log)
	}
}

// ownFamilies scrapes one collector and returns the text of the families that it declares.
func ownFamilies(t *testing.T, c Collector) []byte {
	t.Helper()
	var text bytes.Buffer
	e := New(Options{}, c)
	w := familyWriter{expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))}
	if err := e.Scrape(t.Context(), nil, w); err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]bool)
	for _, f := range c.Families() {
		declared[f.Name] = true
		if f.Kind == Summary {
			declared[f.Name+"_sum"], declared[f.Name+"_count"] = true, true
		}
	}
	var own []byte
	for line := range strings.Lines(text.String()) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if end := strings.IndexAny(name, " {\n"); end >= 0 && declared[name[:end]] {
			own = append(own, line...)
		}
	}
	return own
}

type familyWriter struct{ expfmt.Encoder }

func (w familyWriter) WriteFamily(f *dto.MetricFamily) error { return w.Encode(f) }
