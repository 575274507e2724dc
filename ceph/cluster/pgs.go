package cluster

import (
	"fmt"
	"strconv"
	"strings"
)

// PoolPGs is what the placement groups of a pool add up to.
type PoolPGs struct {
	PoolID int64
	PGs    uint64
	// Counts of objects. Repaired only grows.
	Degraded, Misplaced, Unfound, Repaired Number
}

// ParsePoolPGs reads the answer to rados.PGDumpPools. It returns ErrNotReady after a start of the mgr.
func ParsePoolPGs(data []byte) ([]PoolPGs, error) {
	var answer struct {
		Ready bool `json:"pg_ready"`
		Pools []struct {
			ID   int64  `json:"poolid"`
			PGs  uint64 `json:"num_pg"`
			Stat struct {
				Degraded  Number `json:"num_objects_degraded"`
				Misplaced Number `json:"num_objects_misplaced"`
				Unfound   Number `json:"num_objects_unfound"`
				Repaired  Number `json:"num_objects_repaired"`
			} `json:"stat_sum"`
		} `json:"pool_stats"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if !answer.Ready {
		return nil, ErrNotReady
	}
	pools := make([]PoolPGs, 0, len(answer.Pools))
	for _, p := range answer.Pools {
		pools = append(pools, PoolPGs{
			PoolID: p.ID, PGs: p.PGs, Degraded: p.Stat.Degraded, Misplaced: p.Stat.Misplaced,
			Unfound: p.Stat.Unfound, Repaired: p.Stat.Repaired,
		})
	}
	return pools, nil
}

// PGStates counts placement groups by their state in full, for example "active+clean+scrubbing".
type PGStates map[string]uint64

// ParsePGStat reads the answer to rados.PGStat: the states of all pools together.
// It returns ErrNotReady after a start of the mgr.
func ParsePGStat(data []byte) (PGStates, error) {
	var answer struct {
		Ready   bool `json:"pg_ready"`
		Summary struct {
			States []struct {
				Name  string `json:"name"`
				Count uint64 `json:"num"`
			} `json:"num_pg_by_state"`
		} `json:"pg_summary"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if !answer.Ready {
		return nil, ErrNotReady
	}
	states := make(PGStates)
	for _, s := range answer.Summary.States {
		states[s.Name] += s.Count
	}
	return states, nil
}

// ParsePGBrief reads the answer to rados.PGDumpBrief: the states by pool.
// It returns ErrNotReady after a start of the mgr.
func ParsePGBrief(data []byte) (map[int64]PGStates, error) {
	var answer struct {
		Ready bool `json:"pg_ready"`
		Stats []struct {
			ID    string `json:"pgid"`
			State string `json:"state"`
		} `json:"pg_stats"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if !answer.Ready {
		return nil, ErrNotReady
	}
	pools := make(map[int64]PGStates)
	for _, pg := range answer.Stats {
		pool, err := poolOf(pg.ID)
		if err != nil {
			return nil, err
		}
		if pools[pool] == nil {
			pools[pool] = make(PGStates)
		}
		pools[pool][pg.State]++
	}
	return pools, nil
}

// poolOf returns the pool of a placement group id such as 2.1f.
func poolOf(pgid string) (int64, error) {
	pool, _, _ := strings.Cut(pgid, ".")
	id, err := strconv.ParseInt(pool, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no placement group id", pgid)
	}
	return id, nil
}
