package exporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/librbd"
)

// librbdSockets takes the admin sockets that the guest's process has now and returns those to read. A new one is
// left alone in its first scrape, in which the daemon collector learns its schema: together they would ask it
// more than three commands.
func (g *qemuGuest) librbdSockets(now []string) []string {
	var known []string
	for _, path := range now {
		if slices.Contains(g.clients, path) {
			known = append(known, path)
		}
	}
	g.clients = now
	return known
}

// collectLibrbd reads the guest's librbd clients: QEMU makes one for each disk, and all hang or die together.
func (q *QEMU) collectLibrbd(ctx context.Context, g *qemuGuest, paths []string, b *Batch) error {
	g.mu.Lock()
	disks := g.known
	g.mu.Unlock()
	var parser librbd.Parser
	var buf []byte
	var errs []error
	for _, path := range paths {
		reply, err := q.opts.Caller.Call(ctx, path, adminsocket.PerfDump, buf)
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
			continue // the disk was unplugged
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		buf = reply.Data
		if reply.PID != 0 && reply.PID != g.Process.PID {
			continue // a socket of another process that has the same name
		}
		images, err := parser.Parse(reply.Data)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		for i := range images {
			addLibrbd(b, &images[i], disks)
		}
	}
	return errors.Join(errs...)
}

func addLibrbd(b *Batch, c *librbd.Counters, disks []qemuDisk) {
	d := librbdDisk(c, disks)
	if d == nil || d.labels == nil {
		return
	}
	qemuLibrbdRead.add(b, &c.Read, d.labels)
	qemuLibrbdWrite.add(b, &c.Write, d.labels)
	qemuLibrbdDiscard.add(b, &c.Discard, d.labels)
	qemuLibrbdFlush.add(b, &c.Flush, d.labels)
}

// librbdDisk returns the disk that the counters are of. It is nil when there is none, and when there are two, such
// as images of one name in two namespaces: the counters do not say of which they are.
func librbdDisk(c *librbd.Counters, disks []qemuDisk) *qemuDisk {
	var found *qemuDisk
	for i := range disks {
		source := &disks[i].device.Source
		if source.Driver != "rbd" || !c.Of(source.Pool, source.Image) {
			continue
		}
		if found != nil {
			return nil
		}
		found = &disks[i]
	}
	return found
}

func (o *qemuLibrbd) add(b *Batch, v *librbd.Operations, labels []string) {
	b.Add(o.count, v.Count, labels...)
	b.AddSummary(o.latency, v.Seconds, v.Done, labels...)
	if o.bytes != nil {
		b.Add(o.bytes, v.Bytes, labels...)
	}
}
