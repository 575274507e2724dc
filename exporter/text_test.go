package exporter

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
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
	wantAllAsLibrary(t, g)
}

// wantAllAsLibrary wants families that are written one after the other to be written as the library writes them, in each format.
func wantAllAsLibrary(t *testing.T, groups ...*group) {
	t.Helper()
	for _, format := range textFormats {
		ours, library := newGroupEncoder(format, groups), newLibraryEncoder(format, groups)
		if _, ok := ours.(*textRenderer); !ok {
			t.Fatalf("%s is written by %T", format, ours)
		}
		for _, g := range groups {
			want, err := library.encode(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ours.encode(g, []byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
				t.Fatalf("%s, %s (-library +ours):\n%s", format, g.family.Name, diff)
			}
		}
		twice, conflict := ours.counts()
		if wantTwice, wantConflict := library.counts(); twice != wantTwice || conflict != wantConflict {
			t.Errorf("%s: %d twice and %d in conflict, want %d and %d", format, twice, conflict, wantTwice, wantConflict)
		}
	}
}

// TestTextOfManyFamilies checks families with the labels of the one before, with nearly those, and with others, in a thousand orders.
func TestTextOfManyFamilies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	labels := make([][]string, 8)
	for i := range labels {
		labels[i] = []string{strconv.Itoa(i / 2), strings.Repeat("x", i%3)}
	}
	labels = append(labels, slices.Clone(labels[1])) // the same in another place
	names := [][]string{{"a", "b"}, {"a", "b"}, {"a", "b"}, {"b", "c"}}
	for range 1000 {
		groups := make([]*group, 6)
		length := 1 + random.IntN(len(labels))
		for i := range groups {
			f := &Family{Name: fmt.Sprint("f", i), Kind: Gauge, Labels: slices.Clone(names[random.IntN(len(names))])}
			other := &Family{Name: f.Name, Kind: Counter, Labels: []string{"y", "z"}} // as of a daemon of another release
			g := &group{family: f}
			for j := range length {
				s := &sample{family: f, labels: labels[j], value: float64(j)}
				switch random.IntN(20) {
				case 0:
					s.labels = labels[random.IntN(len(labels))]
				case 1:
					s.family, s.labels = other, labels[random.IntN(len(labels))]
				case 2:
					continue
				}
				g.samples = append(g.samples, s)
			}
			g.size = len(g.samples)
			groups[i] = g
		}
		wantAllAsLibrary(t, groups...)
	}
}

// TestTextOfManyScrapes checks that nothing of one scrape comes into the text of the next, which uses its memory.
func TestTextOfManyScrapes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	labels := [][]string{{"1"}, {"2"}, {"3"}, {"1"}}
	for range 300 {
		format, groups := textFormats[random.IntN(2)], make([]*group, 1+random.IntN(8))
		for i := range groups {
			g := &group{family: &Family{Name: fmt.Sprint("f", i), Kind: Gauge, Labels: []string{"l"}}}
			for range 1 + random.IntN(3) {
				g.samples = append(g.samples, &sample{family: g.family, labels: labels[random.IntN(len(labels))]})
			}
			g.size = len(g.samples)
			groups[i] = g
		}
		var got strings.Builder
		twice, _, err := encode(&got, format, groups)
		if err != nil {
			t.Fatal(err)
		}
		library := newLibraryEncoder(format, groups)
		var want []byte
		for _, g := range groups {
			text, err := library.encode(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, text...)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Fatalf("%s (-library +ours):\n%s", format, diff)
		}
		if wantTwice, _ := library.counts(); twice != wantTwice {
			t.Errorf("%d twice, want %d", twice, wantTwice)
		}
	}
}

// TestTextKeepsLittle checks that neither many samples nor long labels are kept in memory after the scrape that had them.
func TestTextKeepsLittle(t *testing.T) {
	for name, labels := range map[string][][]string{
		"a long label": {{strings.Repeat("x", 2*keepBuffer)}},
		"many samples": slices.Repeat([][]string{{"x"}}, keepSamples+1),
	} {
		g := &group{family: &Family{Name: "f", Kind: Gauge, Labels: []string{"l"}}, size: len(labels)}
		for _, l := range labels {
			g.samples = append(g.samples, &sample{family: g.family, labels: l})
		}
		r := newTextRenderer(textFormats[0], []*group{g})
		for range 2 {
			if _, err := r.encode(g, nil); err != nil {
				t.Fatal(err)
			}
		}
		r.release()
		r = newTextRenderer(textFormats[0], nil)
		if len(r.seen) > 0 || cap(r.texts) > keepBuffer || cap(r.written) > keepSamples || r.names != nil {
			t.Errorf("%s: keeps room for %d characters and %d samples", name, cap(r.texts), cap(r.written))
		}
	}
}

// TestTextTakesLabelsOver checks that families of the same labels are not looked at anew, and that those which follow are.
func TestTextTakesLabelsOver(t *testing.T) {
	labels := [][]string{{"1"}, {"2"}, {"3"}}
	makeGroup := func(of ...[]string) *group {
		g := &group{family: &Family{Name: "f", Kind: Gauge, Labels: []string{"l"}}, size: len(of)}
		for _, l := range of {
			g.samples = append(g.samples, &sample{family: g.family, labels: l})
		}
		return g
	}
	all := makeGroup(labels...)
	r := newTextRenderer(textFormats[0], []*group{all})
	for i, test := range []struct {
		group *group
		same  bool
		twice uint64
	}{
		{all, false, 0},
		{all, false, 0},
		{all, true, 0},
		{makeGroup(labels[0]), true, 0},
		{all, true, 0},
		{makeGroup(labels[0], labels[0]), false, 1},
		{makeGroup(labels[0], labels[2]), false, 1},
		{all, false, 1},
		{all, true, 1},
		{makeGroup(labels[0], labels[1], labels[2], labels[1]), false, 2},
	} {
		if _, err := r.encode(test.group, nil); err != nil {
			t.Fatal(err)
		}
		if twice, _ := r.counts(); r.same != test.same || twice != test.twice {
			t.Errorf("family %d: same is %v, %d twice; want %v, %d", i, r.same, twice, test.same, test.twice)
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
	got, err := newTextRenderer(textFormats[0], []*group{g}).encode(g, nil)
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

// BenchmarkText writes 24 families of 1,000 samples with the same labels, as guests' disks have.
func BenchmarkText(b *testing.B) {
	labels := make([][]string, 1000)
	for i := range labels {
		labels[i] = []string{fmt.Sprintf("instance%d.example.com", i/4), strconv.Itoa(i % 4)}
	}
	groups := make([]*group, 24)
	for i := range groups {
		f := &Family{Name: fmt.Sprintf("qemu_disk_operations_%d_total", i), Help: "What was done.", Kind: Counter, Labels: []string{"ganeti_instance", "disk"}}
		groups[i] = &group{family: f, size: len(labels)}
		for j := range labels {
			groups[i].samples = append(groups[i].samples, &sample{family: f, labels: labels[j], value: float64(i * j)})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := encode(io.Discard, textFormats[0], groups); err != nil {
			b.Fatal(err)
		}
	}
}
