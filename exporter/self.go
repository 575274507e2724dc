package exporter

import "sync"

// The families that the scrape itself gives.
var (
	collectorSuccess = &Family{
		Name: "ceph_ganeti_exporter_collector_success",
		Help: "Whether all targets of the collector answered in this scrape.",
		Kind: Gauge, Labels: []string{"collector"}, Source: "the scrape", Cost: "none",
	}
	collectorDuration = &Family{
		Name: "ceph_ganeti_exporter_collector_duration_seconds",
		Help: "How long the collector took in this scrape.",
		Kind: Gauge, Labels: []string{"collector"}, Source: "the scrape", Cost: "none",
	}
	targetUp = &Family{
		Name: "ceph_ganeti_exporter_target_up",
		Help: "Whether the target (a daemon, a guest, a cluster) answered in this scrape.",
		Kind: Gauge, Labels: []string{"collector", "target"}, Source: "the scrape", Cost: "none",
	}
	targetDuration = &Family{
		Name: "ceph_ganeti_exporter_target_duration_seconds",
		Help: "How long the target took in this scrape.",
		Kind: Gauge, Labels: []string{"collector", "target"}, Source: "the scrape", Cost: "none",
	}
	droppedSeries = &Family{
		Name: "ceph_ganeti_exporter_dropped_series_total",
		Help: "Series left out of scrapes because another of the same name and labels, or of another type, came first.",
		Kind: Counter, Labels: []string{"reason"}, Source: "the scrape", Cost: "none",
	}
)

// SelfFamilies lists the families that the scrape itself gives.
func SelfFamilies() []*Family {
	return []*Family{collectorSuccess, collectorDuration, targetUp, targetDuration, droppedSeries}
}

// self puts in what the scrape knows of itself.
func (e *Exporter) self(results []*collected) *Batch {
	b := &Batch{}
	for _, c := range results {
		b.AddBool(collectorSuccess, c.success(), c.collector)
		b.Add(collectorDuration, c.duration.Seconds(), c.collector)
		for _, o := range c.outcomes {
			if o.err == nil || failed(o.err) {
				b.AddBool(targetUp, o.err == nil, c.collector, o.target.Name)
			}
			b.Add(targetDuration, o.duration.Seconds(), c.collector, o.target.Name)
		}
	}
	e.dropped.addTo(b)
	return b
}

// ups puts in the collectors' own up families.
func ups(outcomes []outcome) *Batch {
	b := &Batch{}
	for _, o := range outcomes {
		if o.target.Up != nil && (o.err == nil || failed(o.err)) {
			b.AddBool(o.target.Up, o.err == nil, o.target.UpLabels...)
		}
	}
	return b
}

// counts are the totals of droppedSeries.
type counts struct {
	mu       sync.Mutex
	twice    uint64
	conflict uint64
}

func (c *counts) add(twice, conflict uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.twice += twice
	c.conflict += conflict
}

func (c *counts) addTo(b *Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.Add(droppedSeries, float64(c.twice), "duplicate")
	b.Add(droppedSeries, float64(c.conflict), "type")
}
