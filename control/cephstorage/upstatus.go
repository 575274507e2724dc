package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// clusterStatus is the part of `ceph status -f json` that says whether the cluster has come up.
type clusterStatus struct {
	QuorumNames []string `json:"quorum_names"`
	Mgrmap      struct {
		Available   bool `json:"available"`
		NumStandbys int  `json:"num_standbys"`
	} `json:"mgrmap"`
	Osdmap struct {
		Up int `json:"num_up_osds"`
		In int `json:"num_in_osds"`
	} `json:"osdmap"`
	Pgmap struct {
		Total  int `json:"num_pgs"`
		States []struct {
			Name  string `json:"state_name"`
			Count int    `json:"count"`
		} `json:"pgs_by_state"`
	} `json:"pgmap"`
}

// status asks for the state of the cluster.
func (s *Storage) status(ctx context.Context) (*clusterStatus, error) {
	var status clusterStatus
	return &status, ask(ctx, s, &status, "status")
}

// wanted is what has to be up.
type wanted struct {
	mons       []string
	mgrs, osds int
	// active wants all placement groups to be active.
	active bool
}

// lack says what is still missing until the daemons are up, or nothing.
func (c *clusterStatus) lack(w wanted) string {
	if missing := without(w.mons, c.QuorumNames); len(missing) > 0 {
		return "mon." + strings.Join(missing, ", mon.") + " not in quorum"
	}
	switch {
	case !c.Mgrmap.Available:
		return "no mgr is active"
	case c.Mgrmap.NumStandbys+1 < w.mgrs:
		return fmt.Sprintf("%d of %d mgrs", c.Mgrmap.NumStandbys+1, w.mgrs)
	case c.Osdmap.Up < w.osds:
		return fmt.Sprintf("%d of %d OSDs up", c.Osdmap.Up, w.osds)
	}
	if n := c.inactive(); n > 0 && w.active {
		return fmt.Sprintf("%d of %d placement groups are not active", n, c.Pgmap.Total)
	}
	return ""
}

// inactive counts the placement groups that can't be read and written.
func (c *clusterStatus) inactive() int {
	n := 0
	for _, s := range c.Pgmap.States {
		if !slices.Contains(strings.Split(s.Name, "+"), "active") {
			n += s.Count
		}
	}
	return n
}
