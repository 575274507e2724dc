package exporter

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

// giving makes a collector whose only target gives what f puts in.
func giving(f func(b *Batch)) *fakeCollector {
	return fake("c", Target{Name: "t", Collect: func(_ context.Context, b *Batch) error {
		f(b)
		return nil
	}})
}

func gauge(name string, labels ...string) *Family {
	return &Family{Name: name, Help: "Help.", Kind: Gauge, Labels: labels}
}

func dropped(s series) series { return s.with("ceph_ganeti_exporter_dropped_series_total") }

func TestDuplicatesAreDroppedAndCounted(t *testing.T) {
	f, other := gauge("x", "a", "b"), gauge("x", "b", "c")
	e := New(Options{}, giving(func(b *Batch) {
		b.Add(f, 1, "1", "2")
		b.Add(f, 2, "1", "2")      // the same
		b.Add(f, 3, "2", "1")      // not the same
		b.Add(f, 4, "12", "")      // an empty label is none
		b.Add(f, 5, "", "2")       //
		b.Add(other, 6, "2", "")   // the same as the one before, of another family
		b.Add(f, 7, "1\x002", "")  // separators in values
		b.Add(f, 8, "1", "2\x00b") //
	}))
	got := scrape(t, e)
	want := series{
		`x{a="1",b="2"}`: 1, `x{a="2",b="1"}`: 3, `x{a="12"}`: 4, `x{b="2"}`: 5, "x{a=\"1\\x002\"}": 7, "x{a=\"1\",b=\"2\\x00b\"}": 8,
	}
	if diff := cmp.Diff(want, got.with("x")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 2 {
		got = scrape(t, e)
	}
	// A scrape tells of those before it.
	want = series{`ceph_ganeti_exporter_dropped_series_total{reason="duplicate"}`: 4, `ceph_ganeti_exporter_dropped_series_total{reason="type"}`: 0}
	if diff := cmp.Diff(want, dropped(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTypeConflictsAreDroppedAndCounted(t *testing.T) {
	counter := &Family{Name: "x", Help: "Help.", Kind: Counter, Labels: []string{"a"}}
	summary := &Family{Name: "x", Help: "Help.", Kind: Summary, Labels: []string{"a"}}
	e := New(Options{}, giving(func(b *Batch) {
		b.Add(gauge("x", "a"), 1, "gauge")
		b.Add(counter, 2, "counter") // shown as a gauge: daemons of two releases may differ so
		b.AddSummary(summary, 3, 4, "summary")
	}))
	scrape(t, e)
	got := scrape(t, e)
	if diff := cmp.Diff(series{`x{a="gauge"}`: 1, `x{a="counter"}`: 2}, got.with("x", "x_sum")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := got[`ceph_ganeti_exporter_dropped_series_total{reason="type"}`]; n != 1 {
		t.Errorf("%v dropped for their type, want 1", n)
	}
}

func TestInvalidUTF8(t *testing.T) {
	e := New(Options{}, giving(func(b *Batch) { b.Add(gauge("x", "a"), 1, "b\xffd\"\n\\") }))
	if diff := cmp.Diff(series{"x{a=\"b\uFFFDd\\\"\\n\\\\\"}": 1}, scrape(t, e).with("x")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValuesThatAreNoNumbers(t *testing.T) {
	e := New(Options{}, giving(func(b *Batch) {
		b.Add(gauge("x", "a"), math.Inf(1), "inf")
		b.Add(gauge("x", "a"), math.NaN(), "nan")
	}))
	got := scrape(t, e)
	if !math.IsInf(got[`x{a="inf"}`], 1) || !math.IsNaN(got[`x{a="nan"}`]) {
		t.Errorf("got %v", got.with("x"))
	}
}

// Families come in the order of their names, each with all its samples, of every kind.
func TestKinds(t *testing.T) {
	e := New(Options{}, giving(func(b *Batch) {
		b.Add(&Family{Name: "e", Help: "E.", Kind: Untyped}, 1)
		b.AddHistogram(&Family{Name: "d", Help: "D.", Kind: Histogram}, 2.5, 3, []Bucket{{0.1, 1}, {1, 2}})
		b.AddSummary(&Family{Name: "c", Help: "C.", Kind: Summary}, 2.5, 3)
		b.Add(&Family{Name: "b_total", Help: "B.", Kind: Counter}, 1)
		b.AddBool(gauge("a"), true)
	}))
	var text strings.Builder
	if err := e.write(t.Context(), &text, "text/plain; version=0.0.4", nil); err != nil {
		t.Fatal(err)
	}
	own, _, _ := strings.Cut(text.String(), "# HELP ceph_")
	_, rest, _ := strings.Cut(text.String(), "# HELP d ")
	want := "# HELP a Help.\n# TYPE a gauge\na 1\n# HELP b_total B.\n# TYPE b_total counter\nb_total 1\n" +
		"# HELP c C.\n# TYPE c summary\nc_sum 2.5\nc_count 3\n# HELP d D.\n# TYPE d histogram\n" +
		"d_bucket{le=\"0.1\"} 1\nd_bucket{le=\"1\"} 2\nd_bucket{le=\"+Inf\"} 3\nd_sum 2.5\nd_count 3\n" +
		"# HELP e E.\n# TYPE e untyped\ne 1\n"
	if diff := cmp.Diff(want, own+"# HELP d "+rest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A family writer may change what it gets: the next scrape that shares the work must not see it.
func TestWriterMayChangeFamily(t *testing.T) {
	e := New(Options{}, giving(func(b *Batch) { b.Add(gauge("x", "a"), 1, "1") }))
	results := []*collected{e.runners[0].run(t.Context())}
	for range 2 {
		found := make(keep)
		if err := e.render(results, spoiling{found}); err != nil {
			t.Fatal(err)
		}
		if found[`x{a="1"}`] != 1 {
			t.Errorf("got %v", found)
		}
	}
}

type spoiling struct{ FamilyWriter }

func (s spoiling) WriteFamily(f *dto.MetricFamily) error {
	err := s.FamilyWriter.WriteFamily(f)
	for _, m := range f.Metric {
		m.Gauge, m.Counter, m.Untyped = nil, nil, &dto.Untyped{}
	}
	return err
}

func FuzzRender(f *testing.F) {
	f.Add("help", "a", "b", 1.5)
	f.Add("a\nb\\", "\xff", "", math.Inf(-1))
	f.Fuzz(func(t *testing.T, help, a, b string, value float64) {
		family := &Family{Name: "x", Help: strings.ToValidUTF8(help, "?"), Kind: Gauge, Labels: []string{"a", "b"}}
		got := scrape(t, New(Options{}, giving(func(batch *Batch) { batch.Add(family, value, a, b) }))).with("x")
		if len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		for _, v := range got {
			if v != value && (v == v || value == value) {
				t.Errorf("value %v, want %v", v, value)
			}
		}
	})
}
