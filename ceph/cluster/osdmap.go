package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// OSDMap is the part of the OSD map that is of interest.
type OSDMap struct {
	Epoch uint64
	// Flags are the flags that are set, for example noout.
	Flags                    []string
	FullRatio, NearfullRatio float64
	OSDs                     []OSD
	Pools                    []Pool
	// Blocklisted is the number of blocklisted client addresses.
	Blocklisted int
}

// OSD is an OSD of the map.
type OSD struct {
	ID int
	// Weight is from 0 to 1, as ceph osd reweight sets it.
	Weight float64
	Up, In bool
	// New is set until the OSD has started for the first time.
	New bool
	// UpFrom is the epoch in which the OSD started last.
	UpFrom uint64
	// PublicAddr and ClusterAddr are without their ports, and empty when the OSD has none.
	PublicAddr, ClusterAddr string
}

// Pool is a pool of the map.
type Pool struct {
	ID   int64
	Name string
	// Type is "replicated", "erasure" or "unknown".
	Type string
	// Description is "replica:3", "ec:4+2", "ec:unknown" or "unknown".
	Description string
	// CompressionMode is "none" where the pool does not say.
	CompressionMode string
	// Applications are the names that the pool is enabled for, for example "rbd", in order.
	Applications []string
}

type osdMapAnswer struct {
	Epoch         uint64                    `json:"epoch"`
	Flags         string                    `json:"flags"`
	FullRatio     float64                   `json:"full_ratio"`
	NearfullRatio float64                   `json:"nearfull_ratio"`
	OSDs          []osdAnswer               `json:"osds"`
	Pools         []poolAnswer              `json:"pools"`
	Blocklist     map[string]any            `json:"blocklist"`
	Profiles      map[string]erasureProfile `json:"erasure_code_profiles"`
}

type osdAnswer struct {
	ID          int      `json:"osd"`
	Weight      float64  `json:"weight"`
	Up          int      `json:"up"`
	In          int      `json:"in"`
	State       []string `json:"state"`
	UpFrom      uint64   `json:"up_from"`
	PublicAddr  string   `json:"public_addr"`
	ClusterAddr string   `json:"cluster_addr"`
}

type poolAnswer struct {
	ID      int64  `json:"pool"`
	Name    string `json:"pool_name"`
	Type    int    `json:"type"`
	Size    int    `json:"size"`
	Profile string `json:"erasure_code_profile"`
	Options struct {
		CompressionMode string `json:"compression_mode"`
	} `json:"options"`
	Applications map[string]any `json:"application_metadata"`
}

type erasureProfile struct {
	K string `json:"k"`
	M string `json:"m"`
}

// ParseOSDMap reads the answer to rados.OSDDump.
func ParseOSDMap(data []byte) (OSDMap, error) {
	var answer osdMapAnswer
	if err := decode(data, &answer); err != nil {
		return OSDMap{}, err
	}
	if answer.Epoch == 0 {
		return OSDMap{}, errShape
	}
	m := OSDMap{
		Epoch:         answer.Epoch,
		Flags:         strings.Split(answer.Flags, ","),
		FullRatio:     answer.FullRatio,
		NearfullRatio: answer.NearfullRatio,
		Blocklisted:   len(answer.Blocklist),
	}
	for _, o := range answer.OSDs {
		m.OSDs = append(m.OSDs, o.osd())
	}
	for _, p := range answer.Pools {
		m.Pools = append(m.Pools, p.pool(answer.Profiles))
	}
	return m, nil
}

func (o osdAnswer) osd() OSD {
	osd := OSD{
		ID: o.ID, Weight: o.Weight, Up: o.Up == 1, In: o.In == 1,
		New: slices.Contains(o.State, "new"), UpFrom: o.UpFrom,
	}
	if !blank(o.PublicAddr) {
		osd.PublicAddr = host(o.PublicAddr)
	}
	if !blank(o.ClusterAddr) {
		osd.ClusterAddr = host(o.ClusterAddr)
	}
	return osd
}

func (p poolAnswer) pool(profiles map[string]erasureProfile) Pool {
	pool := Pool{ID: p.ID, Name: p.Name, Type: "unknown", Description: "unknown", CompressionMode: p.Options.CompressionMode}
	if pool.CompressionMode == "" {
		pool.CompressionMode = "none"
	}
	switch p.Type {
	case 1:
		pool.Type = "replicated"
		pool.Description = fmt.Sprintf("replica:%d", p.Size)
	case 3:
		pool.Type = "erasure"
		pool.Description = "ec:unknown"
		if profile, ok := profiles[p.Profile]; ok {
			pool.Description = fmt.Sprintf("ec:%s+%s", profile.K, profile.M)
		}
	}
	for name := range p.Applications {
		pool.Applications = append(pool.Applications, name)
	}
	slices.Sort(pool.Applications)
	return pool
}

// ParseDeviceClasses reads the device classes of the OSDs, for example "ssd", from the answer to rados.OSDTree.
func ParseDeviceClasses(data []byte) (map[int]string, error) {
	type node struct {
		ID    int    `json:"id"`
		Type  string `json:"type"`
		Class string `json:"device_class"`
	}
	var answer struct {
		Nodes []node `json:"nodes"`
		Stray []node `json:"stray"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if answer.Nodes == nil {
		return nil, errShape
	}
	classes := make(map[int]string)
	for _, n := range append(answer.Nodes, answer.Stray...) {
		if n.Type == "osd" {
			classes[n.ID] = n.Class
		}
	}
	return classes, nil
}

// ParseEpoch reads the epoch of a map from the answer to rados.OSDStat or rados.MgrStat.
func ParseEpoch(data []byte) (uint64, error) {
	var answer struct {
		Epoch *uint64 `json:"epoch"`
	}
	if err := decode(data, &answer); err != nil {
		return 0, err
	}
	if answer.Epoch == nil {
		return 0, errShape
	}
	return *answer.Epoch, nil
}
