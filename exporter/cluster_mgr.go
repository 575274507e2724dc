package exporter

import (
	"maps"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
)

func addPoolPGs(b *Batch, pools []cluster.PoolPGs) {
	var degraded, misplaced, unfound cluster.Number
	for _, p := range pools {
		id := poolID(p.PoolID)
		b.Add(pgTotal, float64(p.PGs), id)
		b.Add(objectsRepaired, float64(p.Repaired), id)
		degraded += p.Degraded
		misplaced += p.Misplaced
		unfound += p.Unfound
	}
	b.Add(objectsDegraded, float64(degraded))
	b.Add(objectsMisplaced, float64(misplaced))
	b.Add(objectsUnfound, float64(unfound))
}

// addPGStates splits states such as active+clean. States that no release had so far are left out.
func addPGStates(b *Batch, pools map[int64]cluster.PGStates) {
	for _, id := range slices.Sorted(maps.Keys(pools)) {
		counts := make(map[string]uint64)
		for combined, n := range pools[id] {
			for state := range strings.SplitSeq(combined, "+") {
				counts[state] += n
			}
		}
		label := poolID(id)
		for _, f := range pgStateFamilies {
			b.Add(f.family, float64(counts[f.name]), label)
		}
	}
}

func addUsage(b *Batch, df cluster.DF) {
	b.Add(clusterTotal, float64(df.Total))
	b.Add(clusterUsed, float64(df.Used))
	b.Add(clusterUsedRaw, float64(df.UsedRaw))
	for _, class := range slices.Sorted(maps.Keys(df.ByClass)) {
		u := df.ByClass[class]
		b.Add(classTotal, float64(u.Total), class)
		b.Add(classUsed, float64(u.Used), class)
		b.Add(classUsedRaw, float64(u.UsedRaw), class)
	}
	for _, p := range df.Pools {
		addPoolUsage(b, p)
	}
}

func addPoolUsage(b *Batch, p cluster.PoolUsage) {
	id := poolID(p.ID)
	for _, v := range []struct {
		family *Family
		value  cluster.Number
	}{
		{poolStored, p.Stored},
		{poolStoredRaw, p.StoredRaw},
		{poolUsed, p.BytesUsed},
		{poolPercentUsed, p.PercentUsed},
		{poolMaxAvail, p.MaxAvail},
		{poolAvailRaw, p.AvailRaw},
		{poolObjects, p.Objects},
		{poolDirty, p.Dirty},
		{poolQuotaBytes, p.QuotaBytes},
		{poolQuotaObjects, p.QuotaObjects},
		{poolCompressedUsed, p.CompressedUsed},
		{poolCompressedFrom, p.CompressedFrom},
		{poolReads, p.Reads},
		{poolReadBytes, p.ReadBytes},
		{poolWrites, p.Writes},
		{poolWrittenBytes, p.WrittenBytes},
	} {
		b.Add(v.family, float64(v.value), id)
	}
}

func addLatencies(b *Batch, latencies []cluster.OSDLatency) {
	for _, l := range latencies {
		name := osdName(l.ID)
		b.Add(osdApplyLatency, float64(l.Apply), name)
		b.Add(osdCommitLatency, float64(l.Commit), name)
	}
}

// addServices puts in the daemons that the mgr's module has families for.
func addServices(b *Batch, services []cluster.Service) {
	for _, s := range services {
		switch s.Type {
		case "rgw":
			b.Add(rgwInfo, 1, "rgw."+s.ID, s.Hostname, s.Version, s.Key)
		case "rbd-mirror":
			b.Add(rbdMirrorInfo, 1, "rbd-mirror."+s.Key, s.ID, s.InstanceID, s.Hostname, s.Version)
		}
	}
}

func addRecovery(b *Batch, pools []cluster.PoolRecovery) {
	for _, p := range pools {
		id := poolID(p.PoolID)
		b.Add(recoveringObjects, float64(p.ObjectsPerSecond), id)
		b.Add(recoveringBytes, float64(p.BytesPerSecond), id)
		b.Add(recoveringKeys, float64(p.KeysPerSecond), id)
		b.Add(recoveredObjects, float64(p.Objects), id)
		b.Add(recoveredBytes, float64(p.Bytes), id)
	}
}
