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
	i := slices.IndexFunc(disks, func(d qemuDisk) bool {
		source := d.device.Source
		return source.Driver == "rbd" && d.labels != nil && c.Of(source.Pool, source.Image)
	})
	if i < 0 {
		return
	}
	qemuLibrbdRead.add(b, &c.Read, disks[i].labels)
	qemuLibrbdWrite.add(b, &c.Write, disks[i].labels)
	qemuLibrbdDiscard.add(b, &c.Discard, disks[i].labels)
	qemuLibrbdFlush.add(b, &c.Flush, disks[i].labels)
}

func (o *qemuLibrbd) add(b *Batch, v *librbd.Operations, labels []string) {
	b.Add(o.count, v.Count, labels...)
	b.AddSummary(o.latency, v.Seconds, v.Done, labels...)
	if o.bytes != nil {
		b.Add(o.bytes, v.Bytes, labels...)
	}
}
