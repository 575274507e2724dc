package cluster

// PoolRecovery is what is recovered in a pool at the moment. All are 0 while nothing is.
type PoolRecovery struct {
	PoolID           int64
	ObjectsPerSecond Number
	BytesPerSecond   Number
	KeysPerSecond    Number
	// Objects and Bytes were recovered in the last few seconds.
	Objects, Bytes Number
}

// ParsePoolRecovery reads the answer to rados.OSDPoolStats.
func ParsePoolRecovery(data []byte) ([]PoolRecovery, error) {
	var answer []struct {
		PoolID int64 `json:"pool_id"`
		Rate   struct {
			ObjectsPerSecond Number `json:"recovering_objects_per_sec"`
			BytesPerSecond   Number `json:"recovering_bytes_per_sec"`
			KeysPerSecond    Number `json:"recovering_keys_per_sec"`
			Objects          Number `json:"num_objects_recovered"`
			Bytes            Number `json:"num_bytes_recovered"`
		} `json:"recovery_rate"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	pools := make([]PoolRecovery, 0, len(answer))
	for _, p := range answer {
		pools = append(pools, PoolRecovery{
			PoolID:           p.PoolID,
			ObjectsPerSecond: p.Rate.ObjectsPerSecond,
			BytesPerSecond:   p.Rate.BytesPerSecond,
			KeysPerSecond:    p.Rate.KeysPerSecond,
			Objects:          p.Rate.Objects,
			Bytes:            p.Rate.Bytes,
		})
	}
	return pools, nil
}
