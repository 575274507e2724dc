package cluster

import "slices"

// Mon is a monitor of the monmap.
type Mon struct {
	Name string
	Rank int
	// Addr is the public address without its port. An IPv6 address keeps its brackets.
	Addr     string
	InQuorum bool
}

// ParseQuorum reads the mons from the answer to rados.QuorumStatus, in the order of their ranks.
func ParseQuorum(data []byte) ([]Mon, error) {
	var answer struct {
		Quorum []int `json:"quorum"`
		Monmap struct {
			Mons []struct {
				Rank int    `json:"rank"`
				Name string `json:"name"`
				Addr string `json:"public_addr"`
			} `json:"mons"`
		} `json:"monmap"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if answer.Monmap.Mons == nil {
		return nil, errShape
	}
	mons := make([]Mon, 0, len(answer.Monmap.Mons))
	for _, m := range answer.Monmap.Mons {
		mons = append(mons, Mon{Name: m.Name, Rank: m.Rank, Addr: host(m.Addr), InQuorum: slices.Contains(answer.Quorum, m.Rank)})
	}
	return mons, nil
}
