package cluster

// DF is the usage of the cluster.
type DF struct {
	Usage
	ByClass map[string]Usage // by device class
	Pools   []PoolUsage
}

// Usage is in bytes of raw storage.
type Usage struct {
	Total   Number `json:"total_bytes"`
	Used    Number `json:"total_used_bytes"`
	UsedRaw Number `json:"total_used_raw_bytes"`
}

// PoolUsage is the usage of a pool. Everything is in bytes but where the name says otherwise.
type PoolUsage struct {
	ID             int64
	Stored         Number `json:"stored"`
	StoredRaw      Number `json:"stored_raw"`
	Objects        Number `json:"objects"` // count
	Dirty          Number `json:"dirty"`   // count of objects
	BytesUsed      Number `json:"bytes_used"`
	PercentUsed    Number `json:"percent_used"` // 0 to 1, in spite of the name
	MaxAvail       Number `json:"max_avail"`
	AvailRaw       Number `json:"avail_raw"`
	QuotaBytes     Number `json:"quota_bytes"`
	QuotaObjects   Number `json:"quota_objects"` // count
	Reads          Number `json:"rd"`            // count
	ReadBytes      Number `json:"rd_bytes"`
	Writes         Number `json:"wr"` // count
	WrittenBytes   Number `json:"wr_bytes"`
	CompressedUsed Number `json:"compress_bytes_used"`
	CompressedFrom Number `json:"compress_under_bytes"`
}

// ParseDF reads the answer to rados.DF.
func ParseDF(data []byte) (DF, error) {
	var answer struct {
		Stats   *Usage           `json:"stats"`
		ByClass map[string]Usage `json:"stats_by_class"`
		Pools   []struct {
			ID    int64     `json:"id"`
			Stats PoolUsage `json:"stats"`
		} `json:"pools"`
	}
	if err := decode(data, &answer); err != nil {
		return DF{}, err
	}
	if answer.Stats == nil {
		return DF{}, errShape
	}
	df := DF{Usage: *answer.Stats, ByClass: answer.ByClass}
	for _, p := range answer.Pools {
		p.Stats.ID = p.ID
		df.Pools = append(df.Pools, p.Stats)
	}
	return df, nil
}
