package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// rbdSettings are the settings of the rbd collector.
type rbdSettings struct {
	Include, Exclude pattern
	MaxImages        int
	Refresh          time.Duration
	Perf             bool
}

func (s *rbdSettings) register(f *pflag.FlagSet) {
	f.Var(&s.Include, "collector.rbd.pools-include", "only pools whose whole name this regular expression matches")
	f.Var(&s.Exclude, "collector.rbd.pools-exclude", "no pools whose whole name this regular expression matches")
	f.IntVar(&s.MaxImages, "collector.rbd.max-images", 1000, "images of a pool that are exported at most; the others are counted")
	f.DurationVar(&s.Refresh, "collector.rbd.refresh", time.Minute, "after which time size, snapshots and watchers of an image are read again; usage after ten times that")
	f.BoolVar(&s.Perf, "collector.rbd.perf", true, "I/O and latency of images, counted by the mgr with queries that it installs in the OSDs while it is asked")
}

// leastRefresh keeps the reading of images from being a load for the OSDs.
const leastRefresh = 10 * time.Second

func (s *rbdSettings) validate() error {
	if s.MaxImages < 1 {
		return fmt.Errorf("collector.rbd.max-images %d: give a number over zero", s.MaxImages)
	}
	if s.Refresh < leastRefresh {
		return fmt.Errorf("collector.rbd.refresh %s: give %s or longer", s.Refresh, leastRefresh)
	}
	return nil
}

func (c *config) newRBD(s *sources) exporter.Collector {
	return exporter.NewRBD(exporter.RBDOptions{
		Cluster:      rbd.Cluster{Conn: s.cluster},
		Leader:       s.leader,
		GuestImages:  s.guestImages,
		PoolsInclude: c.RBD.Include.re,
		PoolsExclude: c.RBD.Exclude.re,
		MaxImages:    c.RBD.MaxImages,
		Refresh:      c.RBD.Refresh,
		Perf:         c.RBD.Perf,
	})
}
