package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// QEMUOptions say where the qemu collector looks.
type QEMUOptions struct {
	// Procfs is the root of procfs, usually /proc.
	Procfs string
	// Monitors looks there who uses them. Collectors that come one after the other share it: it knows which guests have not taken
	// notice yet of what was given up. Nil stands for one of its own.
	Monitors *kvm.Sockets
	// GanetiRun is Ganeti's run directory, usually /var/run/ganeti, and CephctlRun that of cephctl, /run/cephctl.
	GanetiRun, CephctlRun string
	// CephRun is where the admin sockets of the guests' librbd are, usually /var/run/ceph.
	CephRun string
	// Caller asks them. It is the one that the daemon collector has, so that both never ask at once.
	Caller DaemonCaller
}

// QEMU reads the disks of this node's running guests: each guest through its QMP monitor, and through the admin
// sockets of its librbd where it has any.
type QEMU struct {
	opts    QEMUOptions
	finder  *kvm.Finder
	buffers sync.Pool // of *[]byte, which one call after the other uses

	mu sync.Mutex
	// guests are those of the last scrape. Targets makes a new map and changes none.
	guests map[kvm.Process]*qemuGuest
	found  time.Time // when they were
}

var _ Collector = (*QEMU)(nil)

// NewQEMU returns the qemu collector.
func NewQEMU(opts QEMUOptions) *QEMU {
	if opts.Monitors == nil {
		opts.Monitors = kvm.NewSockets(opts.Procfs)
	}
	return &QEMU{
		opts:    opts,
		finder:  kvm.NewFinder(opts.Procfs, kvm.GanetiDir(opts.GanetiRun), kvm.CephctlDir(opts.CephctlRun)),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
}

// Name returns qemu.
func (q *QEMU) Name() string { return "qemu" }

// Families lists the families of the collector.
func (q *QEMU) Families() []*Family { return qemuFamilies() }

// Targets returns two for each running guest: its QMP monitor and, where it has any, its librbd clients.
func (q *QEMU) Targets(context.Context, *Batch) ([]Target, error) {
	q.opts.Monitors.Forget()
	if len(q.guests) > 0 {
		// While the guests are found, as they are hardly others than last time. Who asks for their monitors gets the error again.
		go func() { _ = protect(q.opts.Monitors.Look) }()
	}
	found, err := q.finder.Find()
	if errors.Is(err, fs.ErrNotExist) {
		q.keep(nil)
		return nil, ErrNoData
	}
	clients, clientErr := q.clients()
	guests := make(map[kvm.Process]*qemuGuest, len(found))
	targets := make([]Target, 0, 2*len(found))
	for _, f := range found {
		g := q.guests[f.Process]
		if g == nil || g.Guest != f {
			g = newQEMUGuest(f, q.opts.Monitors)
		}
		guests[f.Process] = g
		targets = append(targets, Target{
			Name: g.Instance, Up: qemuUp, UpLabels: g.labels,
			Collect: func(ctx context.Context, b *Batch) error { return q.collect(ctx, g, b) },
		})
		if paths := g.librbdSockets(clients[f.Process.PID]); len(paths) > 0 {
			targets = append(targets, Target{
				Name:    g.Instance + " librbd",
				Collect: func(ctx context.Context, b *Batch) error { return q.collectLibrbd(ctx, g, paths, b) },
			})
		}
	}
	q.keep(guests)
	return targets, errors.Join(err, clientErr)
}

func (q *QEMU) keep(guests map[kvm.Process]*qemuGuest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.guests, q.found = guests, time.Now()
}

// clients finds the admin sockets of librados clients by the process id in their names.
func (q *QEMU) clients() (map[int][]string, error) {
	sockets, err := adminsocket.Find(q.opts.CephRun)
	clients := make(map[int][]string)
	for _, s := range sockets {
		if pid := s.ClientPID(); pid != 0 {
			clients[pid] = append(clients[pid], s.Path)
		}
	}
	return clients, err
}

// keepBuffer is how large a buffer may be to be used again; answers are nearly always far smaller.
const keepBuffer = 256 << 10

func (q *QEMU) collect(ctx context.Context, g *qemuGuest, b *Batch) error {
	b.Grow(samplesOf(len(g.disks)))
	buf := q.buffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) > keepBuffer {
			*buf = nil
		}
		q.buffers.Put(buf)
	}()
	session, err := g.monitor.Open(ctx, *buf)
	busy := errors.Is(err, kvm.ErrBusy)
	b.AddBool(qemuMonitorBusy, busy, g.labels...)
	if busy {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return err
	}
	report, err := g.ask(session)
	session.Close()
	*buf = session.Buffer()
	if report == nil {
		return err
	}
	runtimeErr := g.update(report)
	g.emit(report, b)
	return errors.Join(err, runtimeErr)
}

// samplesOf returns how many samples a guest with so many disks gives, at most.
func samplesOf(disks int) int { return 3 + 25*disks }

func (g *qemuGuest) emit(r *qemuReport, b *Batch) {
	b.Grow(samplesOf(len(r.stats)) - b.Len()) // for disks that are new
	b.Add(qemuStatus, 1, g.Instance, r.status)
	b.Add(qemuVersion, 1, g.Instance, r.version, r.pkg)
	for i := range r.stats {
		s, d := &r.stats[i], &g.disks[i]
		if d.labels == nil {
			continue
		}
		if d.info != nil {
			b.Add(qemuDiskInfo, 1, d.info...)
			b.Add(qemuDiskSize, float64(d.device.Size), d.labels...)
		}
		if !math.IsNaN(s.IdleSeconds) {
			b.Add(qemuDiskIdle, s.IdleSeconds, d.labels...)
		}
		qemuDiskRead.add(b, &s.Read, d.labels)
		qemuDiskWrite.add(b, &s.Write, d.labels)
		qemuDiskFlush.add(b, &s.Flush, d.labels)
		qemuDiskUnmap.add(b, &s.Unmap, d.labels)
	}
}

func (o *qemuOperations) add(b *Batch, v *kvm.Operations, labels []string) {
	b.Add(o.count, v.Count, labels...)
	b.Add(o.seconds, v.Seconds, labels...)
	b.Add(o.failed, v.Failed, labels...)
	b.Add(o.invalid, v.Invalid, labels...)
	if o.bytes != nil {
		b.Add(o.bytes, v.Bytes, labels...)
		b.Add(o.merged, v.Merged, labels...)
	}
}
