package cephstorage

import (
	"fmt"
	"strings"

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

// optionsOf returns the options that hold on a node; with an empty name those of the cluster. They were checked when they
// were given, but the state file may have been changed by hand since.
func (v *view) optionsOf(name string) (settings, error) {
	values := control.Resolve(Type{}, v.state.Options, v.state.Nodes[name])
	get := control.Getter(values)
	text := func(option string) string { return strings.Join(get(option), "") }
	s := settings{
		Disks:          get(OptionDisk),
		Backend:        text(OptionOSDBackend),
		Mons:           number(get(OptionMons)),
		PublicNetwork:  text(OptionPublicNetwork),
		ClusterNetwork: text(OptionClusterNetwork),
		Size:           number(get(OptionSize)),
		MinSize:        number(get(OptionMinSize)),
		Pool:           text(OptionPool),
	}
	for option, bytes := range map[string]*int64{
		OptionOSDFileSize: &s.FileSize, OptionOSDMemoryTarget: &s.MemoryTarget, OptionHostReserve: &s.HostReserve,
	} {
		var err error
		if *bytes, err = ParseBytes(text(option)); err != nil {
			return settings{}, fmt.Errorf("storage option %s=%s: %w", option, text(option), err)
		}
	}
	if s.Mons < 1 || s.Size < 1 || s.MinSize < 1 || s.Pool == "" {
		return settings{}, fmt.Errorf("storage options: %s, %s and %s have to be numbers of 1 or more, and %s a name", OptionMons, OptionSize, OptionMinSize, OptionPool)
	}
	return s, nil
}

// formatSize writes a number of bytes for people.
func formatSize(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
