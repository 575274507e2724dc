package exporter

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
)

// RBDCluster reads the RBD images of a cluster. Errors that are rbd.ErrGone, rbd.ErrNoUsage and rbd.ErrNoPerf say
// that there is nothing to read.
type RBDCluster interface {
	// Pools returns the names of the pools that are marked for RBD.
	Pools(ctx context.Context) ([]string, error)
	// List returns the images of a pool by namespace and name.
	List(ctx context.Context, pool string) ([]rbd.Entry, error)
	// Read returns what the header of an image says.
	Read(ctx context.Context, e rbd.Entry) (rbd.Details, error)
	// Used returns how many bytes of an image are in use.
	Used(ctx context.Context, e rbd.Entry) (uint64, error)
	// Perf returns the I/O of the busiest images.
	Perf(ctx context.Context) (rbd.Perf, error)
}

var _ RBDCluster = rbd.Cluster{}

// RBDOptions are the settings of the rbd collector. Zero durations and numbers stand for the defaults.
type RBDOptions struct {
	Cluster RBDCluster
	// Leader says which node exports the images of the whole cluster.
	Leader LeaderCheck
	// GuestImages returns the images that this node's guests use. They are exported on every node.
	GuestImages func() []ceph.Image
	// PoolsInclude and PoolsExclude choose pools by name. Nil means all, and none.
	PoolsInclude, PoolsExclude *regexp.Regexp
	// MaxImages is how many images of a pool are exported: those that this node's guests use, then the first by
	// namespace and name. Default 1000.
	MaxImages int
	// Refresh is after which time an image's header is read again, its usage after ten times that. Default 1 minute.
	Refresh time.Duration
	// Perf has the mgr count the I/O of images, where this node exports those of the whole cluster.
	Perf bool
}

// RBD reads RBD images. The lists of images are read in the scrape, so that an image comes and goes with the
// scrape after it did. Opening one costs the OSDs a dozen operations: that is done in the background.
type RBD struct {
	opts RBDOptions
	perf *refresher[struct{}, rbd.Perf]

	mu    sync.Mutex
	pools map[string]*rbdPool
}

var _ Collector = (*RBD)(nil)

const (
	perfEvery = 15 * time.Second
	// perfTimeout leaves the mgr the 5 s that it may take for the first answer.
	perfTimeout = 10 * time.Second
	// findTimeout leaves most of the scrape to the pools when a mon does not say who leads and which there are.
	findTimeout = 2 * time.Second
)

// NewRBD returns the rbd collector.
func NewRBD(opts RBDOptions) *RBD {
	if opts.MaxImages == 0 {
		opts.MaxImages = 1000
	}
	if opts.Refresh == 0 {
		opts.Refresh = time.Minute
	}
	r := &RBD{opts: opts, pools: make(map[string]*rbdPool)}
	r.perf = &refresher[struct{}, rbd.Perf]{
		read:  func(ctx context.Context, _ struct{}) (rbd.Perf, error) { return opts.Cluster.Perf(ctx) },
		gone:  func(err error) bool { return errors.Is(err, rbd.ErrNoPerf) },
		every: min(perfEvery, opts.Refresh), timeout: perfTimeout,
	}
	return r
}

// Name returns rbd.
func (r *RBD) Name() string { return "rbd" }

// Families lists the families of the collector.
func (r *RBD) Families() []*Family { return rbdFamilies }

// Targets returns a target for each pool, and one for the I/O counters of the mgr.
func (r *RBD) Targets(ctx context.Context, _ *Batch) ([]Target, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	all, _, leaderErr := r.opts.Leader.Leads(ctx)
	guests := imagesByPool(r.opts.GuestImages())
	names, poolsErr := r.poolNames(ctx, all, guests)

	var targets []Target
	for _, p := range r.follow(names) {
		scope := rbdScope{all: all, guests: guests[p.name]}
		targets = append(targets, Target{Name: "pool " + p.name, Collect: func(ctx context.Context, b *Batch) error {
			return p.collect(ctx, b, scope)
		}})
	}
	if all && r.opts.Perf {
		targets = append(targets, Target{Name: "perf image counters", Collect: r.collectPerf})
	}
	return targets, errors.Join(leaderErr, poolsErr)
}

// Close ends what is read in the background.
func (r *RBD) Close() error {
	r.perf.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pools {
		p.close()
	}
	return nil
}

// poolNames returns the pools to read, in order. When the mons cannot say which there are, it returns those of the
// last time beside the error.
func (r *RBD) poolNames(ctx context.Context, all bool, guests map[string]map[ceph.Image]bool) ([]string, error) {
	var names []string
	for pool := range guests {
		names = append(names, pool)
	}
	var err error
	if all {
		var marked []string
		if marked, err = r.opts.Cluster.Pools(ctx); err != nil {
			marked = r.followed()
		}
		names = append(names, marked...)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return !r.chosen(name) }), err
}

func (r *RBD) chosen(pool string) bool {
	if r.opts.PoolsInclude != nil && !r.opts.PoolsInclude.MatchString(pool) {
		return false
	}
	return r.opts.PoolsExclude == nil || !r.opts.PoolsExclude.MatchString(pool)
}

func (r *RBD) followed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.pools {
		names = append(names, name)
	}
	return names
}

// follow returns the state of the named pools and ends what is read in the background of all others.
func (r *RBD) follow(names []string) []*rbdPool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range r.pools {
		if !slices.Contains(names, name) {
			go p.close()
			delete(r.pools, name)
		}
	}
	var pools []*rbdPool
	for _, name := range names {
		if r.pools[name] == nil {
			r.pools[name] = newRBDPool(name, r)
		}
		pools = append(pools, r.pools[name])
	}
	return pools
}

func (r *RBD) collectPerf(ctx context.Context, b *Batch) error {
	perf, err := r.readPerf(ctx)
	if err != nil || perf == nil {
		return err
	}
	b.Add(rbdPerfAge, time.Since(perf.at).Seconds())
	b.AddBool(rbdPerfTruncated, perf.value.Truncated)
	return nil
}

// readPerf returns what the mgr counted last, nil while there is nothing.
func (r *RBD) readPerf(ctx context.Context) (*reading[rbd.Perf], error) {
	now, cancel := context.WithCancel(ctx)
	cancel()
	perfs, err := r.perf.get(now, []struct{}{{}})
	for _, perf := range perfs {
		return &perf, err
	}
	return nil, err
}

func imagesByPool(images []ceph.Image) map[string]map[ceph.Image]bool {
	pools := make(map[string]map[ceph.Image]bool)
	for _, image := range images {
		if pools[image.Pool] == nil {
			pools[image.Pool] = make(map[ceph.Image]bool)
		}
		pools[image.Pool][image] = true
	}
	return pools
}
