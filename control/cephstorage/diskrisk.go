package cephstorage

import (
	"context"
	"fmt"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/guestdisk"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Risk implements control.DiskHost. It judges a mapping that is not there yet, by what the OSDs of this node say now.
func (h DiskHost) Risk(ctx context.Context, d control.DiskSpec) (*control.DiskRisk, error) {
	if !needsMapping(d) {
		return nil, nil
	}
	options := h.reader
	options.AskOSDs = true
	facts := loopback.NewReader(options).Read(ctx)
	if facts.Node.OSDsKnown && len(facts.Node.OSDs) == 0 {
		return nil, nil // whichever the pool is
	}
	pool, err := h.host.DataPool(ctx, device(d))
	if err != nil {
		return nil, told(err)
	}
	v := loopback.Judge(facts.Node, madeUp(d, pool))
	level := v.Level
	if !v.Known {
		level = max(level, loopback.Warning)
		if v.Reason == loopback.Direct {
			level = loopback.Notice
		}
	}
	if level <= loopback.Info {
		return nil, nil
	}
	return &control.DiskRisk{Level: level, Text: riskText(d, pool, &v), Cures: riskCures(d)}, nil
}

// madeUp is the mapping that a disk would be, with the use that would be made of it: QEMU's, or that of who administers
// the device, which goes through the page cache.
func madeUp(d control.DiskSpec, pool guestdisk.Pool) loopback.Mapping {
	use := loopback.Use{Reason: loopback.PageCache, Device: "rbdN", Who: "QEMU"}
	switch {
	case d.Map:
		use.Reason, use.Who = loopback.Filesystem, "who administers it"
	case d.Params[ParamCache] == "none":
		use.Reason = loopback.Direct
	}
	m := loopback.Mapping{
		Device: use.Device, Driver: loopback.KRBD, Pool: d.Params[ParamPool], Namespace: d.Params[ParamNamespace], Image: d.Image,
		FSID: pool.FSID, PoolID: pool.ID, HeaderPoolID: pool.MapID, ObjectMap: pool.MapID != 0, Uses: []loopback.Use{use},
	}
	if pool.Name != m.Pool {
		m.DataPool = pool.Name
	}
	if pool.ParentID != 0 {
		m.Parents = []loopback.Parent{{Pool: pool.ParentName, PoolID: pool.ParentID}}
	}
	return m
}

// riskText says in half a sentence how the kernel would come to write to what OSDs of this node serve.
func riskText(d control.DiskSpec, pool guestdisk.Pool, v *loopback.Verdict) string {
	how := "through its page cache"
	if v.Reason == loopback.Direct {
		how = "past its page cache"
	}
	text := fmt.Sprintf("the kernel would write to image %s %s, and ", d.Image, how)
	if len(v.Local) == 0 {
		return text + fmt.Sprintf("nobody can say %s, so that it may hang (pool %s)", strings.Join(v.Unknown, " and "), pool.Name)
	}
	osds := make([]string, len(v.Local))
	for i, id := range v.Local {
		osds[i] = osdName(id)
	}
	pools := make([]string, len(v.Pools))
	for i, name := range v.Pools {
		switch name {
		case pool.Name:
			pools[i] = "its pool " + name
		case d.Params[ParamPool]:
			pools[i] = "the pool " + name + " with its object map"
		default:
			pools[i] = "the pool " + name + " with its parent"
		}
	}
	text += fmt.Sprintf("%s of this node has a part of %s", strings.Join(osds, ", "), strings.Join(pools, " and of "))
	if v.Pressure {
		text += " while memory is short"
	}
	return text + fmt.Sprintf(": loopback level %d (%s)", v.Level, v.Level)
}

// riskCures are the ways out that have to do with the storage, best first.
func riskCures(d control.DiskSpec) []string {
	var cures []string
	if ceph.Access(d.Params[ParamAccess]) == ceph.Kernelspace {
		cures = append(cures, "let QEMU open it itself, by the disk parameter access=userspace")
	}
	return append(cures, "keep it in a pool of other nodes: cephctl pool create --on-nodes")
}
