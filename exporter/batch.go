package exporter

import "fmt"

// Bucket is one bucket of a histogram: how many observations were at or below the bound.
type Bucket struct {
	UpperBound float64
	Count      uint64
}

// sample is one value of one family.
type sample struct {
	family  *Family
	labels  []string
	value   float64   // of a gauge, counter or untyped; the sum of a summary or histogram
	count   uint64    // of a summary or histogram
	buckets *[]Bucket // of a histogram; a pointer, as few samples are one and there are tens of thousands
}

// Batch holds what one target gave in one scrape. It belongs to one goroutine. A target that ends with an error
// keeps what it has put in: partial results are served. One that does not end in time loses all of it.
//
// Label values are kept as they are handed over: a caller may share one slice between many samples and scrapes,
// and must not change it afterwards.
type Batch struct {
	samples []sample
}

// Grow makes room for n more samples.
func (b *Batch) Grow(n int) {
	if free := cap(b.samples) - len(b.samples); free < n {
		grown := make([]sample, len(b.samples), len(b.samples)+n)
		copy(grown, b.samples)
		b.samples = grown
	}
}

// Len returns the number of samples.
func (b *Batch) Len() int { return len(b.samples) }

// truncate takes back what was put in after there were n samples.
func (b *Batch) truncate(n int) { b.samples = b.samples[:n] }

// Add puts in one value of a gauge, counter or untyped family. It panics when the number of labels does not
// match the family: that is a mistake in the collector, and the scrape turns it into an error of the target.
func (b *Batch) Add(f *Family, value float64, labels ...string) {
	b.put(sample{family: f, labels: labels, value: value})
}

// AddBool puts in 1 for true and 0 for false.
func (b *Batch) AddBool(f *Family, value bool, labels ...string) {
	v := 0.0
	if value {
		v = 1
	}
	b.Add(f, v, labels...)
}

// AddSummary puts in the sum and the number of observations of a summary family.
func (b *Batch) AddSummary(f *Family, sum float64, count uint64, labels ...string) {
	b.put(sample{family: f, labels: labels, value: sum, count: count})
}

// AddHistogram puts in a histogram. The buckets are cumulative and in the order of their bounds; the one for
// +Inf is left out, as count says it.
func (b *Batch) AddHistogram(f *Family, sum float64, count uint64, buckets []Bucket, labels ...string) {
	b.put(sample{family: f, labels: labels, value: sum, count: count, buckets: &buckets})
}

func (b *Batch) put(s sample) {
	if len(s.labels) != len(s.family.Labels) {
		panic(fmt.Sprintf("family %s has labels %v, got %d values", s.family.Name, s.family.Labels, len(s.labels)))
	}
	b.samples = append(b.samples, s)
}
