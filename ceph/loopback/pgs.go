package loopback

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pool is a pool of the cluster.
type Pool struct {
	ID   uint64
	Name string
	// PGs is how many placement groups it has.
	PGs int
}

// ParsePools reads the pools of the answer to: ceph osd dump -f json. Beside them it returns the cluster that they are of,
// empty when that is not said.
func ParsePools(data []byte) (pools []Pool, fsid string, err error) {
	var answer struct {
		FSID  string `json:"fsid"`
		Pools []struct {
			ID   uint64 `json:"pool"`
			Name string `json:"pool_name"`
			PGs  int    `json:"pg_num"`
		} `json:"pools"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, "", fmt.Errorf("decode the OSD map: %w", err)
	}
	if answer.Pools == nil {
		return nil, "", errors.New("decode the OSD map: no pools")
	}
	pools = make([]Pool, len(answer.Pools))
	for i, p := range answer.Pools {
		pools[i] = Pool(p)
	}
	return pools, answer.FSID, nil
}

// OSDsOf returns the ids of the OSDs that are of a cluster, for all that is known: those of others have ids of their own.
func (n Node) OSDsOf(fsid string) []int {
	ids := []int{}
	for _, o := range n.OSDs {
		if o.mayBeOf(fsid) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// MayBeOf tells whether the image is of a cluster, for all that is known.
func (m *Mapping) MayBeOf(fsid string) bool { return m.FSID == "" || fsid == "" || m.FSID == fsid }

// Place says where the image of a mapping has its data: in the pool with the id data, 0 standing for the pool that it is
// named in. That of a pool that is not among the pools stays unknown.
func (m *Mapping) Place(data uint64, objectMap bool, pools []Pool) {
	for _, p := range pools {
		switch {
		case p.Name == m.Pool && (data == 0 || data == p.ID):
			m.PoolID = p.ID
		case p.Name == m.Pool:
			m.HeaderPoolID, m.ObjectMap = p.ID, objectMap
		case p.ID == data:
			m.PoolID, m.DataPool = p.ID, p.Name
		}
	}
}

// PGList is the placement groups that have a copy on an OSD.
type PGList []PG

// PG is a placement group, for example 2.1f.
type PG struct {
	ID      string
	Primary int
}

// ParsePGs reads the answer to: ceph pg ls-by-osd osd.N -f json
func ParsePGs(data []byte) (PGList, error) {
	var answer struct {
		Ready *bool `json:"pg_ready"`
		PGs   []struct {
			ID      string `json:"pgid"`
			Primary int    `json:"acting_primary"`
		} `json:"pg_stats"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("decode placement groups: %w", err)
	}
	if answer.Ready != nil && !*answer.Ready {
		return nil, errors.New("decode placement groups: the mgr does not know them yet")
	}
	if answer.PGs == nil {
		return nil, errors.New("decode placement groups: no list")
	}
	list := make(PGList, len(answer.PGs))
	for i, pg := range answer.PGs {
		list[i] = PG(pg)
	}
	return list, nil
}

// Shares returns how much of the pools some OSDs have, from the list of each. A placement group that several have
// counts once.
func Shares(pools []Pool, osds []int, lists []PGList) map[uint64]Share {
	shares := make(map[uint64]Share, len(pools))
	for _, p := range pools {
		shares[p.ID] = Share{PGs: p.PGs}
	}
	seen := make(map[string]bool)
	for _, list := range lists {
		for _, pg := range list {
			id, _, _ := strings.Cut(pg.ID, ".")
			pool, err := strconv.ParseUint(id, 10, 64)
			share, known := shares[pool]
			if err != nil || !known || seen[pg.ID] {
				continue
			}
			seen[pg.ID] = true
			share.Any++
			if slices.Contains(osds, pg.Primary) {
				share.Primary++
			}
			shares[pool] = share
		}
	}
	return shares
}
