package exporter

import (
	"context"
	"errors"
	"strconv"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/krbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// KRBDOptions say where the krbd collector looks.
type KRBDOptions struct {
	// Sysfs is where sysfs is mounted, usually /sys.
	Sysfs string
	// GanetiRun is Ganeti's run directory, usually /var/run/ganeti. Its links say which instance a device is of.
	GanetiRun string
}

// KRBD reads the images that this node's kernel has mapped.
type KRBD struct {
	opts KRBDOptions
}

var _ Collector = (*KRBD)(nil)

// NewKRBD returns the krbd collector.
func NewKRBD(opts KRBDOptions) *KRBD { return &KRBD{opts: opts} }

// Name returns krbd.
func (k *KRBD) Name() string { return "krbd" }

// Families lists the families of the collector.
func (k *KRBD) Families() []*Family { return krbdFamilies }

// Targets returns sysfs, the one target.
func (k *KRBD) Targets(context.Context, *Batch) ([]Target, error) {
	return []Target{{Name: "sysfs", Collect: k.collect}}, nil
}

func (k *KRBD) collect(ctx context.Context, b *Batch) error {
	mappings, err := krbd.Mappings(ctx, k.opts.Sysfs)
	if errors.Is(err, krbd.ErrNoModule) {
		return ErrNoData
	}
	disks, diskErr := kvm.DiskLinks(k.opts.GanetiRun)
	for i := range mappings {
		addMapping(b, &mappings[i], disks[mappings[i].Device])
	}
	return errors.Join(err, diskErr)
}

func addMapping(b *Batch, m *krbd.Mapping, d kvm.DiskLink) {
	b.Add(krbdMappedInfo, 1, m.Device, m.Pool, m.Namespace, m.Image, m.Snapshot, strconv.FormatUint(m.PoolID, 10),
		m.ImageID, m.Features.String(), m.Client, m.ClientAddr, m.FSID, d.Instance, d.Disk)

	labels := []string{m.Device, m.Pool, m.Namespace, m.Image}
	b.Add(krbdSize, float64(m.SizeBytes), labels...)
	b.Add(krbdReads, float64(m.IO.Reads), labels...)
	b.Add(krbdReadBytes, float64(m.IO.ReadBytes), labels...)
	b.Add(krbdReadTime, m.IO.ReadTime.Seconds(), labels...)
	b.Add(krbdWrites, float64(m.IO.Writes), labels...)
	b.Add(krbdWriteBytes, float64(m.IO.WrittenBytes), labels...)
	b.Add(krbdWriteTime, m.IO.WriteTime.Seconds(), labels...)

	b.Add(krbdInFlight, float64(m.IO.ReadsInFlight), m.Device, m.Pool, m.Namespace, m.Image, "read")
	b.Add(krbdInFlight, float64(m.IO.WritesInFlight), m.Device, m.Pool, m.Namespace, m.Image, "write")
}
