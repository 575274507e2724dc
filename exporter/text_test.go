package exporter

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
)

// textFormats are those that we write ourselves.
var textFormats = []expfmt.Format{expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeOpenMetrics)}

// wantAsLibrary wants samples of one family to be written as the library writes them, in each format.
func wantAsLibrary(t *testing.T, samples ...sample) {
	t.Helper()
	g := &group{family: samples[0].family, size: len(samples)}
	for i := range samples {
		g.samples = append(g.samples, &samples[i])
	}
	for _, format := range textFormats {
		ours, library := newGroupEncoder(format, []*group{g}), newLibraryEncoder(format, []*group{g})
		if _, ok := ours.(*textRenderer); !ok {
			t.Fatalf("%s is written by %T", format, ours)
		}
		want, err := library.encode(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ours.encode(g, []byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
			t.Errorf("%s (-library +ours):\n%s", format, diff)
		}
		twice, conflict := ours.counts()
		if wantTwice, wantConflict := library.counts(); twice != wantTwice || conflict != wantConflict {
			t.Errorf("%s: %d twice and %d in conflict, want %d and %d", format, twice, conflict, wantTwice, wantConflict)
		}
	}
}

func TestTextAsLibrary(t *testing.T) {
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.5, -0.25, 10, 999999, 1e6, -999999, -1e6, 1234567, 1e15, 1 << 53, 1e20, 1e21, 1e-5, 1e-7,
		123456.789, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxUint64,
	}
	for _, f := range []*Family{
		{Name: "g", Help: "A \\ gauge\nin \"two\" lines, ü.", Kind: Gauge, Labels: []string{"a", "b"}},
		{Name: "c_total", Help: "", Kind: Counter, Labels: []string{"a", "b"}},
		{Name: "ceph_osd_op", Help: "Not a legal counter in OpenMetrics.", Kind: Counter, Labels: []string{"a", "b"}},
		{Name: "u", Help: "Untyped.", Kind: Untyped, Labels: []string{"a", "b"}},
		{Name: "s", Help: "Summary.", Kind: Summary, Labels: []string{"a", "b"}},
	} {
		var samples []sample
		for i, v := range values {
			for _, label := range []string{"", "plain", `"quoted" \ `, "two\nlines", "ü\u2028", "bad\xff\xfeutf8", "\x00"} {
				s := sample{family: f, labels: []string{label, string(rune('a' + i))}, value: v, count: uint64(i * 1e5)}
				samples = append(samples, s)
			}
		}
		samples = append(samples, samples[3], samples[7]) // twice
		conflicting := &Family{Name: f.Name, Kind: Histogram, Labels: f.Labels}
		samples = append(samples, sample{family: conflicting, labels: []string{"", ""}, buckets: &[]Bucket{}})
		other := &Family{Name: f.Name, Kind: Gauge, Labels: []string{"c"}}
		samples = append(samples, sample{family: other, labels: []string{"other"}, value: 3})
		wantAsLibrary(t, samples...)
	}
	bare := &Family{Name: "bare", Help: "No label.", Kind: Gauge}
	wantAsLibrary(t, sample{family: bare, value: 2}, sample{family: bare, value: 3})
	h := &Family{Name: "h", Help: "Histogram.", Kind: Histogram, Labels: []string{"a"}}
	wantAsLibrary(t,
		sample{family: h, labels: []string{""}, value: 1.5, count: 7, buckets: &[]Bucket{{0.001, 1}, {1, 5}, {1e6, 6}}},
		sample{family: h, labels: []string{"x"}, value: 2, count: 1e6, buckets: &[]Bucket{{0.001, 1}, {math.Inf(1), 7}}},
		sample{family: h, labels: []string{"y"}, count: 0, buckets: &[]Bucket{}},
	)
}

// TestTextAllLeftOut checks that a family without a sample to serve leaves no trace.
func TestTextAllLeftOut(t *testing.T) {
	g := &group{family: &Family{Name: "g", Kind: Gauge}, samples: []*sample{{family: &Family{Name: "g", Kind: Summary}}}}
	got, err := newTextRenderer(textFormats[0]).encode(g, nil)
	if err != nil || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzText(f *testing.F) {
	f.Add("help", "label", 1.5, uint64(3), uint8(0))
	f.Add("a\\b\n", "\"\xff", -1e300, uint64(1<<63), uint8(4))
	f.Fuzz(func(t *testing.T, help, label string, value float64, count uint64, kind uint8) {
		family := &Family{Name: "some_name_total", Help: strings.ToValidUTF8(help, "?"), Kind: []Kind{Gauge, Counter, Untyped, Summary, Histogram}[kind%5], Labels: []string{"l"}}
		wantAsLibrary(t, sample{family: family, labels: []string{label}, value: value, count: count, buckets: &[]Bucket{{value, count}}})
	})
}
