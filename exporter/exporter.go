// Package exporter turns what ceph/ and kvm/ read on this node into metrics: one file a collector, and the scrape
// with its deadlines, its isolation and its filter.
package exporter

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are the settings of an Exporter. Zero values stand for the defaults.
type Options struct {
	// TargetTimeout is how long one target may take in a scrape. Default 5 s.
	TargetTimeout time.Duration
	// Concurrency is how many targets of one collector are read at once. Default 32. Those that take long do not count.
	Concurrency int
	// Process gives the families of this process itself (go_*, process_*). They are left out of filtered scrapes.
	Process prometheus.Gatherer
	Log     *slog.Logger
}

const defaultConcurrency = 32

// Exporter collects from its collectors on demand. It keeps nothing between two scrapes but who hangs and why.
type Exporter struct {
	runners []*runner
	process prometheus.Gatherer
	dropped counts
	// zips keeps one compressor for the next scrape: it has more than a megabyte of tables.
	zips chan *gzip.Writer
	log  *slog.Logger
}

// New makes an exporter of the given collectors, in the order in which they are asked and served.
func New(opts Options, collectors ...Collector) *Exporter {
	if opts.TargetTimeout <= 0 {
		opts.TargetTimeout = 5 * time.Second
	}
	if opts.Concurrency <= 0 {
		opts.Concurrency = defaultConcurrency
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	e := &Exporter{process: opts.Process, zips: make(chan *gzip.Writer, 1), log: opts.Log}
	for _, c := range collectors {
		e.runners = append(e.runners, &runner{
			collector:     c,
			targetTimeout: opts.TargetTimeout,
			concurrency:   opts.Concurrency,
			log:           opts.Log,
			running:       make(map[string]bool),
		})
	}
	return e
}

// Names returns the names of the collectors.
func (e *Exporter) Names() []string {
	names := make([]string, len(e.runners))
	for i, r := range e.runners {
		names[i] = r.collector.Name()
	}
	return names
}

// Close ends what collectors hold open or do in the background.
func (e *Exporter) Close() error {
	var errs []error
	for _, r := range e.runners {
		if c, ok := r.collector.(io.Closer); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("close collector %s: %w", r.collector.Name(), err))
			}
		}
	}
	return errors.Join(errs...)
}

// Scrape asks the collectors named in only, or all when it is empty, and writes what they gave to w. It returns a
// moment after the deadline of ctx at the latest. Scrapes that overlap share the work.
func (e *Exporter) Scrape(ctx context.Context, only []string, w FamilyWriter) error {
	results := e.collect(ctx, only)
	if err := e.writeProcess(only, w); err != nil {
		return err
	}
	return e.render(results, w)
}

func (e *Exporter) collect(ctx context.Context, only []string) []*collected {
	var wg sync.WaitGroup
	results := make([]*collected, len(e.runners))
	for i, r := range e.runners {
		if len(only) == 0 || slices.Contains(only, r.collector.Name()) {
			wg.Go(func() { results[i] = r.run(ctx) })
		}
	}
	wg.Wait()
	return slices.DeleteFunc(results, func(c *collected) bool { return c == nil })
}

// writeProcess writes the families of this process, unless the scrape is filtered.
func (e *Exporter) writeProcess(only []string, w FamilyWriter) error {
	if e.process == nil || len(only) > 0 {
		return nil
	}
	families, err := e.process.Gather()
	if err != nil {
		e.log.Warn("own metrics are incomplete", "err", err)
	}
	for _, f := range families {
		if err := w.WriteFamily(f); err != nil {
			return err
		}
	}
	return nil
}
