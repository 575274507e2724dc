package exporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
)

// LoopbackShares reads how much of the pools the OSDs of this node have. The placement groups are listed only when the
// OSD map has changed, as they move with it, or other OSDs are here. Of images that may have their data in another pool it
// reads in which, once.
type LoopbackShares struct {
	runner cluster.Runner
	images ImagePlacer

	mu     sync.Mutex
	epoch  uint64
	fsid   string
	osds   []int
	pools  []loopback.Pool
	parts  map[uint64]loopback.Share
	placed map[mappedImage]rbd.Placement
}

// NewLoopbackShares returns one that asks through r and images.
func NewLoopbackShares(r cluster.Runner, images ImagePlacer) *LoopbackShares {
	return &LoopbackShares{runner: r, images: images}
}

// loopbackPatience is how long the shares wait for what is mapped: longer than an OSD that hangs keeps the node.
const loopbackPatience = 2 * time.Second

// collect puts in the shares of the pools that have a mapped image.
func (s *LoopbackShares) collect(ctx context.Context, node *loopbackNode, b *Batch) error {
	select {
	case <-node.done:
	case <-time.After(loopbackPatience):
		return errors.New("the node has not said what is mapped")
	case <-ctx.Done():
		return fmt.Errorf("wait for what is mapped: %w", ctx.Err())
	}
	if len(node.facts.Mappings) == 0 {
		return ErrNoData
	}
	err := s.refresh(ctx, node.facts.Node)
	placeErr := s.readPlaces(ctx, node.facts.Mappings) // for that no mgr is needed
	if err != nil {
		return errors.Join(err, placeErr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pools {
		if !s.mapsPool(node.facts.Mappings, p) || p.PGs == 0 {
			continue
		}
		share := s.parts[p.ID]
		b.Add(loopbackPoolShare, float64(share.Primary)/float64(p.PGs), poolID(int64(p.ID)), p.Name, "primary")
		b.Add(loopbackPoolShare, float64(share.Any)/float64(p.PGs), poolID(int64(p.ID)), p.Name, "any")
	}
	return placeErr
}

func (s *LoopbackShares) mapsPool(mappings []loopback.Mapping, p loopback.Pool) bool {
	return slices.ContainsFunc(mappings, func(m loopback.Mapping) bool {
		isParent := slices.ContainsFunc(m.Parents, func(parent loopback.Parent) bool { return parent.PoolID == p.ID })
		return m.MayBeOf(s.fsid) && (m.Pool == p.Name || m.PoolID == p.ID || isParent)
	})
}

// refresh reads the placement groups anew when they may have moved. After an error nothing is kept.
func (s *LoopbackShares) refresh(ctx context.Context, node loopback.Node) error {
	stat, err := s.runner.Run(ctx, rados.OSDStat)
	if err != nil {
		return err
	}
	epoch, err := cluster.ParseEpoch(stat)
	if err != nil {
		return fmt.Errorf("read answer to %s: %w", rados.OSDStat, err)
	}
	osds := node.OSDsOf("")
	s.mu.Lock()
	same := s.epoch == epoch && slices.Equal(s.osds, osds)
	s.mu.Unlock()
	if same {
		return nil
	}
	pools, fsid, err := s.readPools(ctx)
	var parts map[uint64]loopback.Share
	if err == nil {
		parts, err = s.readParts(ctx, pools, node.OSDsOf(fsid))
	}
	if err != nil {
		epoch = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.fsid, s.osds, s.pools, s.parts = epoch, fsid, osds, pools, parts
	return err
}

func (s *LoopbackShares) readPools(ctx context.Context) (pools []loopback.Pool, fsid string, err error) {
	dump, err := s.runner.Run(ctx, rados.OSDDump)
	if err != nil {
		return nil, "", err
	}
	return loopback.ParsePools(dump)
}

func (s *LoopbackShares) readParts(ctx context.Context, pools []loopback.Pool, osds []int) (map[uint64]loopback.Share, error) {
	lists := make([]loopback.PGList, 0, len(osds))
	var errs []error
	for _, osd := range osds {
		data, err := s.runner.Run(ctx, rados.PGsByOSD(osd))
		if err != nil {
			return nil, err
		}
		list, err := loopback.ParsePGs(data)
		errs = append(errs, err)
		lists = append(lists, list)
	}
	return loopback.Shares(pools, osds, lists), errors.Join(errs...)
}
