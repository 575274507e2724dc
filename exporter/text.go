package exporter

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/common/expfmt"
)

// textRenderer writes families as text or OpenMetrics, byte for byte as expfmt does, for a fifth of its time: it takes samples as the
// collectors gave them, and looks at names and types once a family.
type textRenderer struct {
	openMetrics bool
	largest     int    // family, in samples
	labels      []byte // of the sample at hand
	leftOut

	// The labels of the last family, where the one before it had the same names. The next one mostly has the same in the same order:
	// then nothing of them is to be found out again, neither their text nor that none comes twice.
	names   []string
	texts   []byte    // one after the other
	written []written // the samples that have them
	// keep is whether the family at hand has the names of the last, so that its labels are worth keeping.
	keep bool
	// same is whether its samples so far have the labels of the last, in the same order. Only when they have not does seen know them.
	same bool
	at   int // how many of its samples were written, while keep
}

// written is a sample that was written, with texts[begin:end] and its hash. Two samples of families with the same names have the same
// labels when they share the memory of the first; that is nil where it is not known.
type written struct {
	first      *string
	begin, end int
	sum        uint64
}

// newTextRenderer returns nil for a format that is no text.
func newTextRenderer(format expfmt.Format, groups []*group) *textRenderer {
	switch format.FormatType() {
	case expfmt.TypeTextPlain, expfmt.TypeOpenMetrics:
		n := largest(groups)
		r, ok := textRenderers.Get().(*textRenderer)
		if !ok {
			r = &textRenderer{leftOut: newLeftOut(n)}
		}
		r.openMetrics, r.largest = format.FormatType() == expfmt.TypeOpenMetrics, n
		return r
	default:
		return nil
	}
}

// textRenderers has those of the last scrape. The collector of garbage empties it.
var textRenderers sync.Pool

// keepSamples is how large the largest family may be for the memory of a renderer to be used again.
const keepSamples = 4096

// release implements groupEncoder.
func (r *textRenderer) release() {
	if r.largest > keepSamples {
		return
	}
	if cap(r.texts) > keepBuffer {
		r.texts = nil
	}
	clear(r.seen)
	clear(r.written[:cap(r.written)])
	*r = textRenderer{leftOut: leftOut{seen: r.seen, seed: r.seed}, texts: r.texts[:0], written: r.written[:0]}
	textRenderers.Put(r)
}

// spare is how many characters longer than the first one a sample of the same family may be, on average.
const spare = 8

// encode implements groupEncoder.
func (r *textRenderer) encode(g *group, out []byte) ([]byte, error) {
	r.begin(g)
	begin := len(out)
	out = r.header(g.family, out)
	header := len(out)
	for i, s := range g.samples {
		if r.conflicts(s, g) {
			continue
		}
		if !r.takeLabels(s, g) {
			continue
		}
		before := len(out)
		if out = r.sample(s, g.family, out); before == header {
			out = slices.Grow(out, (len(out)-before+spare)*(len(g.samples)-i-1)) // once, as the others are hardly longer
		}
	}
	if len(out) == header {
		return out[:begin], nil
	}
	return out, nil
}

func (r *textRenderer) begin(g *group) {
	r.at, r.keep = 0, slices.Equal(r.names, g.family.Labels)
	r.names = g.family.Labels
	if r.same = r.keep; !r.same {
		r.differ()
	}
	if r.keep {
		r.written = slices.Grow(r.written, max(0, len(g.samples)-len(r.written)))
	}
}

// takeLabels makes the labels of a sample those at hand. It returns false for a sample with the same as one before.
func (r *textRenderer) takeLabels(s *sample, g *group) bool {
	var first *string
	if s.family == g.family && len(s.labels) > 0 {
		first = &s.labels[0]
	}
	if r.same {
		if r.at < len(r.written) && first != nil && first == r.written[r.at].first {
			w := &r.written[r.at]
			r.labels = r.texts[w.begin:w.end]
			r.at++
			return true
		}
		r.differ()
	}
	begin := len(r.texts)
	r.texts = appendLabels(r.texts, s)
	end := len(r.texts)
	r.labels = r.texts[begin:]
	sum, before := r.seenBefore(r.labels)
	if before || !r.keep {
		r.texts = r.texts[:begin]
		return !before
	}
	if r.at == 0 {
		r.texts = slices.Grow(r.texts, (end+spare)*len(g.samples))
	}
	r.written = append(r.written, written{first, begin, end, sum})
	r.at++
	return true
}

// differ forgets what of the last family does not come again.
func (r *textRenderer) differ() {
	r.same, r.written, r.texts = false, r.written[:r.at], r.texts[:0]
	clear(r.seen)
	for _, w := range r.written {
		r.seen[w.sum] = struct{}{}
		r.texts = r.texts[:w.end]
	}
}

func (r *textRenderer) header(f *Family, out []byte) []byte {
	name, kind := f.Name, kindNames[f.Kind]
	if r.openMetrics {
		switch isTotal := strings.HasSuffix(name, "_total"); {
		case f.Kind == Untyped, f.Kind == Counter && !isTotal: // as encoder.WriteFamily says
			kind = "unknown"
		case f.Kind == Counter:
			name = strings.TrimSuffix(name, "_total")
		}
	}
	out = append(append(append(out, "# HELP "...), name...), ' ')
	out = appendEscaped(out, f.Help, r.openMetrics)
	out = append(append(append(out, "\n# TYPE "...), name...), ' ')
	return append(append(out, kind...), '\n')
}

var kindNames = map[Kind]string{Gauge: "gauge", Counter: "counter", Untyped: "untyped", Summary: "summary", Histogram: "histogram"}

func (r *textRenderer) sample(s *sample, f *Family, out []byte) []byte {
	switch f.Kind {
	case Summary:
	case Histogram:
		for _, b := range *s.buckets {
			out = r.bucket(f, b.UpperBound, b.Count, out)
		}
		if n := len(*s.buckets); n == 0 || !math.IsInf((*s.buckets)[n-1].UpperBound, 1) {
			out = r.bucket(f, math.Inf(1), s.count, out)
		}
	default:
		return r.value(r.series(f.Name, "", out), s.value)
	}
	out = r.value(r.series(f.Name, "_sum", out), s.value)
	return r.number(r.series(f.Name, "_count", out), s.count)
}

// series appends what stands before the value.
func (r *textRenderer) series(name, suffix string, out []byte) []byte {
	out = append(append(out, name...), suffix...)
	if len(r.labels) > 0 {
		out = append(append(append(out, '{'), r.labels...), '}')
	}
	return append(out, ' ')
}

func (r *textRenderer) bucket(f *Family, bound float64, count uint64, out []byte) []byte {
	out = append(append(out, f.Name...), "_bucket{"...)
	if len(r.labels) > 0 {
		out = append(append(out, r.labels...), ',')
	}
	out = append(r.float(append(out, `le="`...), bound), `"} `...)
	return r.number(out, count)
}

func (r *textRenderer) value(out []byte, v float64) []byte { return append(r.float(out, v), '\n') }

// number appends how many observations there were: text has floats only.
func (r *textRenderer) number(out []byte, n uint64) []byte {
	if r.openMetrics {
		return append(strconv.AppendUint(out, n, 10), '\n')
	}
	return r.value(out, float64(n))
}

// float appends a value, in OpenMetrics with a point where it could be taken for an integer.
func (r *textRenderer) float(out []byte, v float64) []byte {
	begin := len(out)
	switch {
	case math.IsNaN(v):
		return append(out, "NaN"...)
	case math.IsInf(v, 1):
		return append(out, "+Inf"...)
	case math.IsInf(v, -1):
		return append(out, "-Inf"...)
	case -1e6 < v && v < 1e6 && v == math.Trunc(v):
		out = strconv.AppendInt(out, int64(v), 10) // what 'g' gives, sooner
	default:
		out = strconv.AppendFloat(out, v, 'g', -1, 64)
	}
	if r.openMetrics && !bytes.ContainsAny(out[begin:], ".e") {
		out = append(out, ".0"...)
	}
	return out
}

// appendLabels appends a sample's labels, without those that are empty: they are the same as none, in Prometheus.
func appendLabels(out []byte, s *sample) []byte {
	begin := len(out)
	for i, v := range s.labels {
		if v == "" {
			continue
		}
		if len(out) > begin {
			out = append(out, ',')
		}
		out = append(append(out, s.family.Labels[i]...), `="`...)
		out = append(appendEscaped(out, v, true), '"')
	}
	return out
}

// appendEscaped appends a text in which no line ends, and no quote where that ends it.
func appendEscaped(out []byte, text string, quotes bool) []byte {
	plain := true
	for i := range len(text) {
		if c := text[i]; c == '\\' || c == '"' || c == '\n' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return append(out, text...)
	}
	for _, c := range *valid(&text) {
		switch {
		case c == '\\':
			out = append(out, `\\`...)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '"' && quotes:
			out = append(out, `\"`...)
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	return out
}
