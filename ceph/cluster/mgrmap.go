package cluster

import "slices"

// MgrMap is the part of the mgr map that is of interest.
type MgrMap struct {
	Epoch uint64
	// Active is the name of the active mgr, empty while there is none.
	Active   string
	Standbys []string
	Modules  []MgrModule
	// AlwaysOn are the modules that run without being enabled, by the name of the release.
	AlwaysOn map[string][]string
}

// MgrModule is a module that the active mgr knows.
type MgrModule struct {
	Name string
	// CanRun is false when something that it needs is missing.
	CanRun bool
	// Enabled is set when an administrator, or Ceph's default, has enabled it.
	Enabled bool
}

// ParseMgrMap reads the answer to rados.MgrDump.
func ParseMgrMap(data []byte) (MgrMap, error) {
	var answer struct {
		Epoch    uint64 `json:"epoch"`
		Active   string `json:"active_name"`
		Standbys []struct {
			Name string `json:"name"`
		} `json:"standbys"`
		Enabled   []string `json:"modules"`
		Available []struct {
			Name   string `json:"name"`
			CanRun bool   `json:"can_run"`
		} `json:"available_modules"`
		AlwaysOn map[string][]string `json:"always_on_modules"`
	}
	if err := decode(data, &answer); err != nil {
		return MgrMap{}, err
	}
	if answer.Epoch == 0 {
		return MgrMap{}, errShape
	}
	m := MgrMap{Epoch: answer.Epoch, Active: answer.Active, AlwaysOn: answer.AlwaysOn}
	for _, s := range answer.Standbys {
		m.Standbys = append(m.Standbys, s.Name)
	}
	for _, a := range answer.Available {
		m.Modules = append(m.Modules, MgrModule{Name: a.Name, CanRun: a.CanRun, Enabled: slices.Contains(answer.Enabled, a.Name)})
	}
	return m, nil
}
