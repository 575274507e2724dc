package exporter

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
)

const (
	rbdReadTimeout  = 10 * time.Second
	rbdUsageTimeout = time.Minute
	// usageRefreshes is after how many refreshes the usage of an image is read again.
	usageRefreshes = 10
	// rbdPatience is how long a scrape waits for images that it sees for the first time.
	rbdPatience = time.Second
)

// rbdPool is what is known of a pool's images.
type rbdPool struct {
	name    string
	rbd     *RBD
	details *refresher[rbd.Entry, rbd.Details]
	usage   *refresher[rbd.Entry, uint64]
}

// rbdScope says which images of a pool are exported: all, or those of this node's guests.
type rbdScope struct {
	all    bool
	guests map[ceph.Image]bool
}

// rank puts the images of guests before all others.
func (s rbdScope) rank(e rbd.Entry) int {
	if s.guests[e.Image] {
		return 0
	}
	return 1
}

func newRBDPool(name string, r *RBD) *rbdPool {
	return &rbdPool{
		name: name,
		rbd:  r,
		details: &refresher[rbd.Entry, rbd.Details]{
			read:  r.opts.Cluster.Read,
			gone:  func(err error) bool { return errors.Is(err, rbd.ErrGone) },
			every: r.opts.Refresh, timeout: rbdReadTimeout,
		},
		usage: &refresher[rbd.Entry, uint64]{
			read:  r.opts.Cluster.Used,
			gone:  func(err error) bool { return errors.Is(err, rbd.ErrGone) || errors.Is(err, rbd.ErrNoUsage) },
			every: usageRefreshes * r.opts.Refresh, timeout: rbdUsageTimeout,
		},
	}
}

func (p *rbdPool) close() {
	p.details.close()
	p.usage.close()
}

func (p *rbdPool) collect(ctx context.Context, b *Batch, scope rbdScope) error {
	entries, err := p.list(ctx, b, scope)
	if errors.Is(err, rbd.ErrGone) {
		return ErrNoData
	}
	if err != nil {
		return err
	}
	details, detailsErr := getPatiently(ctx, p.details, entries)
	for _, e := range entries {
		if d, ok := details[e]; ok {
			addImage(b, e, d.value)
		}
	}
	addAge(b, rbdInfoAge, p.name, details)

	usage, usageErr := getPatiently(ctx, p.usage, withFastDiff(entries, details))
	for _, e := range entries {
		if u, ok := usage[e]; ok {
			b.Add(rbdUsed, float64(u.value), e.Pool, e.Namespace, e.Name)
		}
	}
	addAge(b, rbdUsedAge, p.name, usage)

	if scope.all && p.rbd.opts.Perf {
		p.addPerf(ctx, b, entries)
	}
	return errors.Join(detailsErr, usageErr)
}

// list returns the images to export, those of this node's guests first, and counts the others.
func (p *rbdPool) list(ctx context.Context, b *Batch, scope rbdScope) ([]rbd.Entry, error) {
	entries, err := p.rbd.opts.Cluster.List(ctx, p.name)
	if err != nil {
		return nil, err
	}
	if scope.all {
		addImageCounts(b, p.name, entries)
	} else {
		entries = slices.DeleteFunc(entries, func(e rbd.Entry) bool { return !scope.guests[e.Image] })
	}
	slices.SortStableFunc(entries, func(a, b rbd.Entry) int { return scope.rank(a) - scope.rank(b) })
	kept := entries[:min(len(entries), p.rbd.opts.MaxImages)]
	b.Add(rbdDropped, float64(len(entries)-len(kept)), p.name)
	return kept, nil
}

// addPerf puts in what the mgr counted. Its errors are those of the target perf image counters.
func (p *rbdPool) addPerf(ctx context.Context, b *Batch, entries []rbd.Entry) {
	perf, _ := p.rbd.readPerf(ctx)
	if perf == nil {
		return
	}
	for _, e := range entries {
		if io, ok := perf.value.Images[e.Image]; ok {
			addIO(b, e.Image, io)
		}
	}
}

// getPatiently waits a moment for values that were never read, so that few images are there with the first scrape.
func getPatiently[V any](ctx context.Context, r *refresher[rbd.Entry, V], entries []rbd.Entry) (map[rbd.Entry]reading[V], error) {
	ctx, cancel := context.WithTimeout(ctx, rbdPatience)
	defer cancel()
	return r.get(ctx, entries)
}

func withFastDiff(entries []rbd.Entry, details map[rbd.Entry]reading[rbd.Details]) []rbd.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e rbd.Entry) bool { return !details[e].value.Features.FastDiff() })
}

func addImageCounts(b *Batch, pool string, entries []rbd.Entry) {
	counts := map[string]int{"": 0}
	for _, e := range entries {
		counts[e.Namespace]++
	}
	for _, namespace := range slices.Sorted(maps.Keys(counts)) {
		b.Add(rbdImages, float64(counts[namespace]), pool, namespace)
	}
}

func addImage(b *Batch, e rbd.Entry, d rbd.Details) {
	var parent rbd.Parent
	if d.Parent != nil {
		parent = *d.Parent
	}
	b.Add(rbdImageInfo, 1, e.Pool, e.Namespace, e.Name, e.ID, d.Features.String(),
		parent.Pool, parent.Namespace, parent.Name, parent.Snapshot)
	labels := []string{e.Pool, e.Namespace, e.Name}
	b.Add(rbdSize, float64(d.SizeBytes), labels...)
	b.Add(rbdSnapshots, float64(d.Snapshots), labels...)
	b.Add(rbdWatchers, float64(d.Watchers), labels...)
}

func addIO(b *Batch, image ceph.Image, io rbd.IO) {
	labels := []string{image.Pool, image.Namespace, image.Name}
	b.Add(rbdReadOps, float64(io.Reads), labels...)
	b.Add(rbdWriteOps, float64(io.Writes), labels...)
	b.Add(rbdReadBytes, float64(io.ReadBytes), labels...)
	b.Add(rbdWriteBytes, float64(io.WrittenBytes), labels...)
	b.AddSummary(rbdReadLatency, float64(io.ReadTime.Nanoseconds()), io.Reads, labels...)
	b.AddSummary(rbdWriteLatency, float64(io.WriteTime.Nanoseconds()), io.Writes, labels...)
}

// addAge puts in the age of the oldest value.
func addAge[V any](b *Batch, f *Family, pool string, values map[rbd.Entry]reading[V]) {
	var oldest time.Duration
	for _, v := range values {
		oldest = max(oldest, time.Since(v.at))
	}
	if len(values) > 0 {
		b.Add(f, oldest.Seconds(), pool)
	}
}
