package exporter

import (
	"context"
	"errors"
)

// ErrNoData is what a target returns when its source does not exist on this node, for example when no rbd module
// is loaded. It is not a failure: nothing is logged and the collector stays successful.
var ErrNoData = errors.New("source has no data here")

// A Collector reads one kind of source, such as the admin sockets of this node's Ceph daemons.
//
// What it may do is in CONTRIBUTING.md. Above all: read only, cheap commands only, no state between scrapes but
// caches of what cannot change, and no loop in the background but for data that takes over a second by nature.
type Collector interface {
	// Name is the collector's name in flags, in the configuration file and in collect[].
	Name() string
	// Families lists the families that the collector declares itself. Those that only a daemon's own schema
	// knows, such as perf counters, are left out.
	Families() []*Family
	// Targets finds what is to be read in this scrape. It must be quick (a glob, a read of procfs): whatever
	// may hang belongs into a target. It is called once a scrape and never twice at the same time. The one
	// exception is rbd: only the cluster knows its pools. It waits 2 s for them, and goes on with those of before.
	// What it finds along the way, such as a count, it may put into b.
	// Targets that were found are read even when an error is returned.
	Targets(ctx context.Context, b *Batch) ([]Target, error)
}

// A Target is one thing that can hang, lie or die alone: a daemon's socket, a guest's monitor, a cluster.
type Target struct {
	// Name tells the target from the others of its collector, for example "osd.3".
	Name string
	// Up, when set, is a gauge family with UpLabels: 1 when the target answered in this scrape, else 0.
	Up       *Family
	UpLabels []string
	// Collect reads the target and puts what it finds into b. It must honour ctx where the call allows it. When
	// it cannot, and goes on past its deadline, its results are dropped and it is not called again until it has
	// returned. ErrNoData says that there is nothing to read; ErrBusy that somebody else uses it.
	Collect func(ctx context.Context, b *Batch) error
}

// ErrBusy is what a target returns when it was left alone because somebody else uses it. Its samples are kept,
// and nothing is logged; its up is not reported, as it is neither up nor down.
var ErrBusy = errors.New("in use by somebody else")
