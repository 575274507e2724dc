package exporter

import (
	"context"
	"errors"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// ClusterOptions are the settings of the cluster collector.
type ClusterOptions struct {
	// Leader says which node collects.
	Leader LeaderCheck
	// Runner runs commands of the cluster. *rados.Conn is one.
	Runner cluster.Runner
}

// Cluster collects what is of the whole cluster from the mons and the mgr, with the names, labels and values of
// the mgr's own prometheus module.
type Cluster struct {
	leader LeaderCheck
	client *cluster.Client
}

var _ Collector = (*Cluster)(nil)

// NewCluster makes the collector.
func NewCluster(opts ClusterOptions) *Cluster {
	return &Cluster{leader: opts.Leader, client: cluster.NewClient(opts.Runner)}
}

// Name implements Collector.
func (c *Cluster) Name() string { return "cluster" }

// Families implements Collector.
func (c *Cluster) Families() []*Family { return clusterFamilies() }

// Targets implements Collector: who leads, the mons, and the mgr.
func (c *Cluster) Targets(context.Context, *Batch) ([]Target, error) {
	v := &verdict{check: c.leader}
	return []Target{
		{Name: "leader", Collect: v.collect},
		{Name: "mon", Collect: v.guard(c.collectMon)},
		{Name: "mgr", Collect: v.guard(c.collectMgr)},
	}, nil
}

// collect puts in whether this node collects.
func (v *verdict) collect(ctx context.Context, b *Batch) error {
	leads, reason, err := v.get(ctx)
	b.AddBool(clusterCollecting, leads, reason)
	return err
}

// guard runs f only on the node that collects.
func (v *verdict) guard(f func(context.Context, *Batch) error) func(context.Context, *Batch) error {
	return func(ctx context.Context, b *Batch) error {
		if leads, _, _ := v.get(ctx); !leads {
			return ErrNoData
		}
		return f(ctx, b)
	}
}

// collectMon reads what the mons know. What fails costs only its own series; when nobody answers, it asks no more.
func (c *Cluster) collectMon(ctx context.Context, b *Batch) error {
	health, healthErr := c.client.Health(ctx)
	errs := []error{healthErr}
	if silent(healthErr) {
		return healthErr
	}
	if healthErr == nil {
		errs = append(errs, addHealth(b, health))
	}
	mons, err := c.client.Mons(ctx)
	errs = append(errs, err)
	if err == nil {
		metadata, err := c.client.MonMetadata(ctx)
		errs = append(errs, err)
		addMons(b, mons, metadata)
	}
	osds, err := c.client.OSDs(ctx)
	errs = append(errs, err)
	if osds.Epoch > 0 {
		addOSDMap(b, osds)
	}
	if healthErr == nil && osds.Epoch > 0 {
		errs = append(errs, addDaemonHealth(b, health, mons, osds.OSDs))
	}
	mgrs, err := c.client.Mgrs(ctx)
	errs = append(errs, err)
	addMgrs(b, mgrs)
	fss, err := c.client.FileSystems(ctx)
	addFileSystems(b, fss)
	return errors.Join(append(errs, err)...)
}

func silent(err error) bool {
	return errors.Is(err, rados.ErrNoConnection) || errors.Is(err, rados.ErrNoAnswer)
}

// collectMgr reads what needs an active mgr. Its first answer shows that there is one: what the mons would repeat
// of a mgr that is gone is of the past.
func (c *Cluster) collectMgr(ctx context.Context, b *Batch) error {
	pools, err := c.client.PoolPGs(ctx)
	if err != nil {
		return err
	}
	addPoolPGs(b, pools)
	states, err := c.client.PGStates(ctx, pools)
	errs := []error{err}
	addPGStates(b, states)
	usage, err := c.client.DF(ctx)
	errs = append(errs, err)
	if err == nil {
		addUsage(b, usage)
	}
	latencies, err := c.client.OSDLatencies(ctx)
	errs = append(errs, err)
	addLatencies(b, latencies)
	recovery, err := c.client.Recovery(ctx)
	errs = append(errs, err)
	addRecovery(b, recovery)
	services, err := c.client.Services(ctx)
	addServices(b, services)
	return errors.Join(append(errs, err)...)
}
