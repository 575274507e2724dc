package exporter

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
)

// FamilyWriter takes one metric family after the other, for example an encoder of the exposition format. The
// family is used again for the next one: a writer that keeps it must copy it.
type FamilyWriter interface {
	WriteFamily(f *dto.MetricFamily) error
}

// render writes what the collectors gave, family by family in the order of their names, so that only one family
// at a time stands in memory in the form that the encoder wants.
func (e *Exporter) render(results []*collected, w FamilyWriter) error {
	groups := e.group(results)
	r := newRenderer(groups)
	defer func() { e.dropped.add(r.twice, r.conflict) }()
	for _, g := range groups {
		if err := r.write(g, w); err != nil {
			return err
		}
	}
	return nil
}

// group returns all samples by the names of their families, in the order of those.
func (e *Exporter) group(results []*collected) []*group {
	var batches []*Batch
	for _, c := range results {
		batches = append(batches, c.found, ups(c.outcomes))
		for _, o := range c.outcomes {
			batches = append(batches, o.batch)
		}
	}
	batches = slices.DeleteFunc(append(batches, e.self(results)), func(b *Batch) bool { return b == nil })

	byName, groups := make(map[string]*group), make(map[*Family]*group)
	total := 0
	// Targets of one kind give the same families in the same order, so that the batch before knows most groups.
	var order []place
	find := func(i int, f *Family) *group {
		if i < len(order) && order[i].family == f {
			return order[i].group
		}
		g := groups[f]
		if g == nil {
			if g = byName[f.Name]; g == nil {
				g = &group{family: f}
				byName[f.Name] = g
			}
			groups[f] = g
		}
		order = append(order[:i], place{f, g})
		return g
	}
	for _, b := range batches {
		total += len(b.samples)
		for i := range b.samples {
			find(i, b.samples[i].family).size++
		}
	}
	room := make([]*sample, total)
	for _, g := range byName {
		g.samples, room = room[:0:g.size], room[g.size:]
	}
	for _, b := range batches {
		for i := range b.samples {
			g := find(i, b.samples[i].family)
			g.samples = append(g.samples, &b.samples[i])
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *group) int { return strings.Compare(a.family.Name, b.family.Name) })
}

// place is where samples of a family belong.
type place struct {
	family *Family
	group  *group
}

// group is all samples of one family name. The first one's family gives type and help.
type group struct {
	family  *Family
	size    int
	samples []*sample
}

// renderer turns groups into the encoder's form. Its slices are used again from family to family.
type renderer struct {
	out     dto.MetricFamily
	metrics []dto.Metric
	pointer []*dto.Metric
	pairs   []dto.LabelPair
	labels  []*dto.LabelPair
	gauges  []dto.Gauge
	counter []dto.Counter
	untyped []dto.Untyped
	summary []dto.Summary

	text []byte // of a sample's labels
	leftOut
}

// leftOut tells which samples of a family can't be served, and counts them.
type leftOut struct {
	seen            map[uint64]struct{}
	seed            maphash.Seed
	twice, conflict uint64
}

// newLeftOut returns one for families of up to n samples.
func newLeftOut(n int) leftOut {
	return leftOut{seen: make(map[uint64]struct{}, n), seed: maphash.MakeSeed()}
}

func (l *leftOut) counts() (twice, conflict uint64) { return l.twice, l.conflict }

// conflicts tells whether a sample is of another type than its family.
func (l *leftOut) conflicts(s *sample, g *group) bool {
	if compatible(s.family.Kind, g.family.Kind) {
		return false
	}
	l.conflict++
	return true
}

// seenBefore tells whether a sample with the same labels came before, by their text. Two different ones with the same 64-bit hash do
// not happen in the lifetime of an exporter.
func (l *leftOut) seenBefore(labels []byte) (sum uint64, before bool) {
	sum = maphash.Bytes(l.seed, labels)
	n := len(l.seen)
	l.seen[sum] = struct{}{}
	if len(l.seen) > n {
		return sum, false
	}
	l.twice++
	return sum, true
}

// largest returns how many samples the largest group has.
func largest(groups []*group) int {
	n := 0
	for _, g := range groups {
		n = max(n, g.size)
	}
	return n
}

// newRenderer makes a renderer with room for the largest of the groups.
func newRenderer(groups []*group) *renderer {
	n, labels := largest(groups), 0
	for _, g := range groups {
		most := 0
		for _, s := range g.samples {
			most += len(s.labels)
		}
		labels = max(labels, most)
	}
	return &renderer{
		metrics: make([]dto.Metric, n), pointer: make([]*dto.Metric, n),
		gauges: make([]dto.Gauge, n), counter: make([]dto.Counter, n),
		untyped: make([]dto.Untyped, n), summary: make([]dto.Summary, n),
		pairs: make([]dto.LabelPair, labels), labels: make([]*dto.LabelPair, labels),
		leftOut: newLeftOut(n),
	}
}

// write writes a group, unless all of it was left out.
func (r *renderer) write(g *group, w FamilyWriter) error {
	f := r.family(g)
	if len(f.Metric) == 0 {
		return nil
	}
	return w.WriteFamily(f)
}

func (r *renderer) family(g *group) *dto.MetricFamily {
	clear(r.seen)
	kind := kindOf(g.family.Kind)
	r.out.Name, r.out.Help, r.out.Type = &g.family.Name, &g.family.Help, &kind
	r.out.Metric = r.pointer[:0]
	pairs := 0
	for i, s := range g.samples {
		if r.conflicts(s, g) {
			continue
		}
		r.text = appendLabels(r.text[:0], s)
		if _, before := r.seenBefore(r.text); before {
			continue
		}
		m := &r.metrics[i]
		m.Label = r.labels[pairs:pairs:cap(r.labels)]
		for j := range s.labels {
			if s.labels[j] == "" { // the same as no label, in Prometheus
				continue
			}
			p := &r.pairs[pairs]
			p.Name, p.Value = &s.family.Labels[j], valid(&s.labels[j])
			m.Label = append(m.Label, p)
			pairs++
		}
		r.value(m, i, s, g.family.Kind)
		r.out.Metric = append(r.out.Metric, m)
	}
	return &r.out
}

func (r *renderer) value(m *dto.Metric, i int, s *sample, kind Kind) {
	m.Gauge, m.Counter, m.Untyped, m.Summary, m.Histogram = nil, nil, nil, nil, nil
	switch kind {
	case Gauge:
		r.gauges[i].Value = &s.value
		m.Gauge = &r.gauges[i]
	case Counter:
		r.counter[i].Value = &s.value
		m.Counter = &r.counter[i]
	case Untyped:
		r.untyped[i].Value = &s.value
		m.Untyped = &r.untyped[i]
	case Summary:
		r.summary[i].SampleSum, r.summary[i].SampleCount = &s.value, &s.count
		m.Summary = &r.summary[i]
	case Histogram:
		h := &dto.Histogram{SampleSum: &s.value, SampleCount: &s.count}
		buckets := *s.buckets
		for j := range buckets {
			h.Bucket = append(h.Bucket, &dto.Bucket{
				UpperBound: &buckets[j].UpperBound, CumulativeCount: &buckets[j].Count,
			})
		}
		m.Histogram = h
	}
}

// compatible tells whether a sample of one kind can be shown under a family of another, as happens when daemons
// of two releases call the same counter a gauge and a counter.
func compatible(a, b Kind) bool {
	single := func(k Kind) bool { return k == Gauge || k == Counter || k == Untyped }
	return a == b || single(a) && single(b)
}

func kindOf(k Kind) dto.MetricType {
	switch k {
	case Counter:
		return dto.MetricType_COUNTER
	case Summary:
		return dto.MetricType_SUMMARY
	case Histogram:
		return dto.MetricType_HISTOGRAM
	case Untyped:
		return dto.MetricType_UNTYPED
	default:
		return dto.MetricType_GAUGE
	}
}

func valid(s *string) *string {
	if utf8.ValidString(*s) {
		return s
	}
	clean := strings.ToValidUTF8(*s, "\uFFFD")
	return &clean
}
