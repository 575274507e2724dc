package exporter

import (
	"hash/maphash"
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
	groups := make(map[string]*group)
	take := func(b *Batch) {
		if b != nil {
			for i := range b.samples {
				s := &b.samples[i]
				g := groups[s.family.Name]
				if g == nil {
					g = &group{family: s.family}
					groups[s.family.Name] = g
				}
				g.samples = append(g.samples, s)
			}
		}
	}
	for _, c := range results {
		take(c.found)
		take(ups(c.outcomes))
		for _, o := range c.outcomes {
			take(o.batch)
		}
	}
	take(e.self(results))

	order := make([]*group, 0, len(groups))
	for _, g := range groups {
		order = append(order, g)
	}
	slices.SortFunc(order, func(a, b *group) int { return strings.Compare(a.family.Name, b.family.Name) })
	r := renderer{seen: make(map[uint64]struct{}), seed: maphash.MakeSeed()}
	defer func() { e.dropped.add(r.twice, r.conflict) }()
	for _, g := range order {
		if f := r.family(g); len(f.Metric) > 0 {
			if err := w.WriteFamily(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// group is all samples of one family name. The first one's family gives type and help.
type group struct {
	family  *Family
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

	seen            map[uint64]struct{}
	seed            maphash.Seed
	twice, conflict uint64
}

func (r *renderer) family(g *group) *dto.MetricFamily {
	r.reserve(g)
	kind := kindOf(g.family.Kind)
	r.out.Name, r.out.Help, r.out.Type = &g.family.Name, &g.family.Help, &kind
	r.out.Metric = r.pointer[:0]
	pairs := 0
	for i, s := range g.samples {
		switch {
		case !compatible(s.family.Kind, g.family.Kind):
			r.conflict++
			continue
		case r.duplicate(s):
			r.twice++
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

func (r *renderer) reserve(g *group) {
	n := len(g.samples)
	labels := 0
	for _, s := range g.samples {
		labels += len(s.labels)
	}
	if len(r.metrics) < n {
		r.metrics, r.pointer = make([]dto.Metric, n), make([]*dto.Metric, n)
		r.gauges, r.counter = make([]dto.Gauge, n), make([]dto.Counter, n)
		r.untyped, r.summary = make([]dto.Untyped, n), make([]dto.Summary, n)
	}
	if len(r.pairs) < labels {
		r.pairs, r.labels = make([]dto.LabelPair, labels), make([]*dto.LabelPair, labels)
	}
	clear(r.seen)
}

// duplicate tells whether a sample with the same labels came before. Two different ones with the same 64-bit hash
// do not happen in the lifetime of an exporter.
func (r *renderer) duplicate(s *sample) bool {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for i, v := range s.labels {
		if v != "" {
			h.WriteString(s.family.Labels[i])
			h.WriteByte(0)
			h.WriteString(v)
			h.WriteByte(0)
		}
	}
	sum := h.Sum64()
	if _, ok := r.seen[sum]; ok {
		return true
	}
	r.seen[sum] = struct{}{}
	return false
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
		for j := range s.buckets {
			h.Bucket = append(h.Bucket, &dto.Bucket{
				UpperBound: &s.buckets[j].UpperBound, CumulativeCount: &s.buckets[j].Count,
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
