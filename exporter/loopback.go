package exporter

import (
	"context"
	"errors"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// LoopbackOptions are the settings of the loopback collector.
type LoopbackOptions struct {
	// Reader says where to look. Its Caller is the one that the daemon collector has, so that both never ask at once.
	Reader loopback.Options
	// GanetiRun is Ganeti's run directory. Its links say which instance a device is of.
	GanetiRun string
	// Guests are the devices that running guests have open, by their names, as the qemu collector has found them.
	Guests func() map[string]GuestDevice
	// Shares reads what only the cluster knows. Nil leaves it out.
	Shares *LoopbackShares
}

// Loopback judges the risk that this node hangs on images that its own OSDs serve.
type Loopback struct {
	opts   LoopbackOptions
	reader *loopback.Reader
}

var _ Collector = (*Loopback)(nil)

// NewLoopback returns the loopback collector.
func NewLoopback(opts LoopbackOptions) *Loopback {
	if opts.Guests == nil {
		opts.Guests = func() map[string]GuestDevice { return nil }
	}
	if opts.Reader.Now == nil {
		opts.Reader.Now = time.Now
	}
	return &Loopback{opts: opts, reader: loopback.NewReader(opts.Reader)}
}

// Name returns loopback.
func (l *Loopback) Name() string { return "loopback" }

// Families lists the families of the collector.
func (l *Loopback) Families() []*Family { return loopbackFamilies }

// Targets returns the node, and the cluster that knows which placement groups are here.
func (l *Loopback) Targets(context.Context, *Batch) ([]Target, error) {
	node := &loopbackNode{done: make(chan struct{})}
	targets := []Target{{Name: "node", Collect: func(ctx context.Context, b *Batch) error {
		defer close(node.done)
		return l.collect(ctx, node, b)
	}}}
	if l.opts.Shares != nil {
		targets = append(targets, Target{Name: "pg_shares", Collect: func(ctx context.Context, b *Batch) error {
			return l.opts.Shares.collect(ctx, node, b)
		}})
	}
	return targets, nil
}

// loopbackNode is what the node says in one scrape, to be read after done is closed.
type loopbackNode struct {
	done  chan struct{}
	facts loopback.Facts
}

func (l *Loopback) collect(ctx context.Context, node *loopbackNode, b *Batch) error {
	f := l.reader.Read(ctx)
	node.facts = f
	disks, diskErr := kvm.DiskLinks(l.opts.GanetiRun)
	guests := l.opts.Guests()
	l.addNode(b, &f)
	drivers := map[string]int{}
	for i := range f.Mappings {
		m := &f.Mappings[i]
		drivers[m.Driver]++
		d := disks[m.Device]
		m.Instance, m.Disk = d.Instance, d.Disk
		l.opts.Shares.place(m)
		if g, ok := guests[m.Device]; ok {
			m.AddGuest(g.Instance, g.Cache)
		}
		addLoopback(b, m, loopback.Judge(f.Node, *m))
	}
	b.Add(loopbackMappings, float64(drivers[loopback.KRBD]), loopback.KRBD)
	b.Add(loopbackMappings, float64(drivers[loopback.NBD]), loopback.NBD)
	return errors.Join(f.Err(), diskErr)
}

func addLoopback(b *Batch, m *loopback.Mapping, v loopback.Verdict) {
	labels := []string{m.Device, m.Pool, m.Namespace, m.Image, m.Instance, m.Disk}
	with := func(last string) []string { return append(labels[:6:6], last) }
	b.AddBool(loopbackLevelKnown, v.Known, labels...)
	if v.Known {
		b.Add(loopbackLevel, float64(v.Level), append(with(string(v.Reason)), m.DataPool)...)
	}
	for _, pool := range v.Pools {
		b.Add(loopbackLocalPool, 1, with(pool)...)
	}
	if v.LocalKnown {
		b.Add(loopbackLocalOSDs, float64(len(v.Local)), labels...)
	}
	scope := "local_osds"
	if m.InFlightAll {
		scope = "all_osds"
	}
	b.Add(loopbackInFlight, float64(m.InFlight), with(scope)...)
	b.Add(loopbackOldest, m.Oldest.Seconds(), labels...)
}

// addNode puts in what is of the whole node.
func (l *Loopback) addNode(b *Batch, f *loopback.Facts) {
	for _, s := range loopback.Sources() {
		b.AddBool(loopbackSourceKnown, f.Missing[s] == nil, string(s))
	}
	m := f.Node.Memory
	if m.HasPSI {
		b.Add(loopbackPressure, m.Full)
	}
	if m.HasInfo {
		b.Add(loopbackTotal, float64(m.Total))
		b.Add(loopbackAvailable, float64(m.Available))
		b.Add(loopbackDirty, float64(m.Dirty))
		b.Add(loopbackWriteback, float64(m.Writeback))
	}
	for _, o := range f.Node.OSDs {
		if o.Known() {
			b.Add(loopbackPoolsAge, l.opts.Reader.Now().Sub(o.Asked).Seconds(), osdName(o.ID))
		}
	}
	if len(f.Mappings) > 0 && f.Missing[loopback.SourceProcesses] == nil {
		b.Add(loopbackLookAge, l.opts.Reader.Now().Sub(f.Mappings[0].Looked).Seconds())
	}
}
