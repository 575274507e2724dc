package cephstorage

import (
	"fmt"
	"strconv"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// settings are the storage options, read.
type settings struct {
	Disks          []string
	Backend        string
	FileSize       int64
	Mons           int
	PublicNetwork  string
	ClusterNetwork string
	Size, MinSize  int
	MemoryTarget   int64
	HostReserve    int64
	Pool           string
}

// optionsOf returns the options that hold on a node; with an empty name those of the cluster.
func (v *view) optionsOf(name string) (settings, error) {
	return readSettings(control.Resolve(Type{}, v.state.Options, v.state.Nodes[name]))
}

func readSettings(values []control.OptionValue) (settings, error) {
	var s settings
	var err error
	number := func(text string) int {
		n, convErr := strconv.Atoi(text)
		if convErr != nil && err == nil {
			err = convErr
		}
		return n
	}
	size := func(text string) int64 {
		n, convErr := parseSize(text)
		if convErr != nil && err == nil {
			err = convErr
		}
		return n
	}
	for _, value := range values {
		switch text := value.First(); value.Name {
		case "disk":
			s.Disks = value.Values
		case "osd_backend":
			s.Backend = text
		case "osd_file_size":
			s.FileSize = size(text)
		case "mons":
			s.Mons = number(text)
		case "public_network":
			s.PublicNetwork = text
		case "cluster_network":
			s.ClusterNetwork = text
		case "size":
			s.Size = number(text)
		case "min_size":
			if text != "" {
				s.MinSize = number(text)
			}
		case "osd_memory_target":
			s.MemoryTarget = size(text)
		case "host_reserve":
			s.HostReserve = size(text)
		case "pool":
			s.Pool = text
		}
	}
	if err != nil {
		return settings{}, fmt.Errorf("read the storage options: %w", err)
	}
	if s.MinSize == 0 {
		s.MinSize = s.Size/2 + 1
	}
	return s, nil
}
