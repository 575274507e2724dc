package rbd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// Pools returns the names of the pools that are marked for RBD, in order.
// Similar to: ceph osd pool application get -f json
func (c Cluster) Pools(ctx context.Context) ([]string, error) {
	answer, err := c.Conn.Run(ctx, rados.PoolApplications)
	if err != nil {
		return nil, err
	}
	return parsePools(answer)
}

// parsePools takes an object of pools, each an object of its applications.
func parsePools(answer []byte) ([]string, error) {
	var pools map[string]map[string]json.RawMessage
	if err := json.Unmarshal(answer, &pools); err != nil {
		return nil, fmt.Errorf("parse applications of pools: %w", err)
	}
	var names []string
	for name, applications := range pools {
		if _, ok := applications["rbd"]; ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
