package cluster

// OSDLatency is the recent latency of an OSD's object store, in milliseconds.
type OSDLatency struct {
	ID     int
	Commit Number // until a write is safe
	Apply  Number // until a write can be read
}

// ParseOSDPerf reads the answer to rados.OSDPerf.
func ParseOSDPerf(data []byte) ([]OSDLatency, error) {
	type info struct {
		ID    int `json:"id"`
		Stats struct {
			Commit Number `json:"commit_latency_ms"`
			Apply  Number `json:"apply_latency_ms"`
		} `json:"perf_stats"`
	}
	var answer struct {
		OSDStats struct {
			Infos []info `json:"osd_perf_infos"`
		} `json:"osdstats"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if answer.OSDStats.Infos == nil {
		return nil, errShape
	}
	latencies := make([]OSDLatency, 0, len(answer.OSDStats.Infos))
	for _, i := range answer.OSDStats.Infos {
		latencies = append(latencies, OSDLatency{ID: i.ID, Commit: i.Stats.Commit, Apply: i.Stats.Apply})
	}
	return latencies, nil
}
