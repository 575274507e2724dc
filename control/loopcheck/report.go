package loopcheck

import (
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
)

// Report is what was found on a node.
type Report struct {
	Node string `json:"node"`
	// Error is why nothing was found; then all else is empty.
	Error string `json:"error,omitempty"`
	// Level is the highest of all images. Known is false when that of any is not known.
	Level   loopback.Level             `json:"level"`
	Known   bool                       `json:"known"`
	Memory  loopback.Memory            `json:"memory"`
	OSDs    []loopback.OSD             `json:"osds"`
	Images  []Image                    `json:"images"`
	Missing map[loopback.Source]string `json:"missing,omitempty"`
}

// Image is a mapped image with what was judged of it.
type Image struct {
	loopback.Mapping
	Verdict loopback.Verdict `json:"verdict"`
	// Share is how much of the pool with its data the OSDs of the node have, nil when it is not known. HeaderShare is that of
	// the pool with its header, of an image with --data-pool alone.
	Share       *loopback.Share `json:"share,omitempty"`
	HeaderShare *loopback.Share `json:"header_share,omitempty"`
	// ParentShares are those of the other pools that a clone reads from, by name.
	ParentShares map[string]loopback.Share `json:"parent_shares,omitempty"`
}

// judge makes the report of a node's facts.
func judge(node string, f Facts) Report {
	r := Report{
		Node: node, Known: true, Memory: f.Node.Memory, OSDs: f.Node.OSDs, Images: []Image{}, Missing: f.Missing,
	}
	if r.OSDs == nil {
		r.OSDs = []loopback.OSD{}
	}
	for _, source := range []loopback.Source{loopback.SourceKRBD, loopback.SourceNBD} {
		if _, missing := f.Missing[source]; missing {
			r.Known = false
		}
	}
	for _, m := range f.Mappings {
		i := Image{Mapping: m, Verdict: loopback.Judge(f.Node, m), Share: f.share(&m, m.PoolID), HeaderShare: f.share(&m, m.HeaderPoolID), ParentShares: f.parentShares(&m)}
		r.Level = max(r.Level, i.Verdict.Level)
		r.Known = r.Known && i.Verdict.Known
		r.Images = append(r.Images, i)
	}
	return r
}

// parentShares returns how much of the pools that only its parents are in is here, nil when there are none.
func (f *Facts) parentShares(m *loopback.Mapping) map[string]loopback.Share {
	var shares map[string]loopback.Share
	for _, p := range m.Parents {
		share := f.share(m, p.PoolID)
		if share == nil || p.PoolID == m.PoolID || p.PoolID == m.HeaderPoolID {
			continue
		}
		if shares == nil {
			shares = map[string]loopback.Share{}
		}
		shares[p.Pool] = *share
	}
	return shares
}

// share returns how much of an image's pool is here, nil when it is not known, as no pool has the id 0.
func (f *Facts) share(m *loopback.Mapping, pool uint64) *loopback.Share {
	if share, ok := f.Node.Shares[pool]; ok && pool != 0 && m.MayBeOf(f.sharesOf) {
		return &share
	}
	return nil
}
