package exporter

import "fmt"

// Kind is the type of a metric family, as Prometheus knows it.
type Kind uint8

// The kinds of families that this exporter gives.
const (
	Gauge Kind = iota + 1
	Counter
	Summary
	Histogram
	Untyped
)

// String returns the kind as the exposition format spells it.
func (k Kind) String() string {
	switch k {
	case Gauge:
		return "gauge"
	case Counter:
		return "counter"
	case Summary:
		return "summary"
	case Histogram:
		return "histogram"
	case Untyped:
		return "untyped"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Family describes a metric family. Families are data: a collector declares each once, in a table, and every
// sample refers to it. Source and Cost are what the metrics reference (docs/metrics.md) says of it.
type Family struct {
	// Name is the name of the family. Those with a name of Ceph's own exporters keep its name and labels.
	Name string
	// Help is one sentence that names the unit where the name does not.
	Help string
	Kind Kind
	// Labels are the names of the labels, in the order in which samples give their values.
	Labels []string
	// Source is the command, file or call that the values come from.
	Source string
	// Cost says what a scrape of it costs whom, for example "1 mon command".
	Cost string
	// Ceph is true for a family that keeps the name and labels of Ceph's own exporters.
	Ceph bool
}
