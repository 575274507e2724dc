package cluster

import (
	"cmp"
	"slices"
)

// FSMap is the part of the map of file systems that is of interest.
type FSMap struct {
	Epoch       uint64
	FileSystems []FileSystem
	// MDSs are those of all file systems and the standbys.
	MDSs []MDS
}

// FileSystem is a CephFS.
type FileSystem struct {
	ID   int64
	Name string
	// MetadataPool and DataPools are ids of pools.
	MetadataPool int64
	DataPools    []int64
}

// MDS is a metadata server that runs.
type MDS struct {
	Name string
	// FileSystem is the id of the file system that it serves, or NoFileSystem.
	FileSystem int64
	// Rank is its rank there, -1 for a standby.
	Rank int
	// Addr is with port and nonce: "192.0.2.7:6801/2795486226".
	Addr string
}

// NoFileSystem is what stands for the file system of a standby.
const NoFileSystem = -1

type mdsAnswer struct {
	Name string `json:"name"`
	Rank int    `json:"rank"`
	Addr string `json:"addr"`
}

// ParseFSMap reads the answer to rados.FSDump.
func ParseFSMap(data []byte) (FSMap, error) {
	var answer struct {
		Epoch       uint64      `json:"epoch"`
		Standbys    []mdsAnswer `json:"standbys"`
		FileSystems []struct {
			ID     int64 `json:"id"`
			MDSMap struct {
				Name         string               `json:"fs_name"`
				MetadataPool int64                `json:"metadata_pool"`
				DataPools    []int64              `json:"data_pools"`
				MDSs         map[string]mdsAnswer `json:"info"` // by global id
			} `json:"mdsmap"`
		} `json:"filesystems"`
	}
	if err := decode(data, &answer); err != nil {
		return FSMap{}, err
	}
	if answer.Epoch == 0 {
		return FSMap{}, errShape
	}
	m := FSMap{Epoch: answer.Epoch}
	for _, s := range answer.Standbys {
		m.MDSs = append(m.MDSs, MDS{Name: s.Name, FileSystem: NoFileSystem, Rank: s.Rank, Addr: s.Addr})
	}
	for _, f := range answer.FileSystems {
		m.FileSystems = append(m.FileSystems, FileSystem{f.ID, f.MDSMap.Name, f.MDSMap.MetadataPool, f.MDSMap.DataPools})
		for _, d := range f.MDSMap.MDSs {
			m.MDSs = append(m.MDSs, MDS{Name: d.Name, FileSystem: f.ID, Rank: d.Rank, Addr: d.Addr})
		}
	}
	slices.SortFunc(m.MDSs, func(a, b MDS) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Addr, b.Addr)) })
	return m, nil
}
