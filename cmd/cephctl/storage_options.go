package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// storageOptions is the flag -S.
type storageOptions []string

func (o *storageOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP((*[]string)(o), "storage", "S", nil, "storage options, as TYPE:option=value,option=value; may be repeated")
	completeValues(cmd, "storage")
}

// optionHelp lists the options of all types for help.
func (a *app) optionHelp() string {
	var text strings.Builder
	for _, t := range a.storage {
		fmt.Fprintf(&text, "\nThe options of %s:\n%s\n", t.Name(), control.OptionHelp(t.Options()))
	}
	return text.String()
}

// parseStorage parses -S. The error has all that is wrong.
func (a *app) parseStorage(args storageOptions) (map[string]control.Values, error) {
	given, err := control.ParseStorage(a.storage, args...)
	if err != nil {
		return nil, fmt.Errorf("%w: storage options:\n%w", control.ErrUsage, err)
	}
	return given, nil
}

// checkTogether checks the options of a type for the cluster and for each node that has its own.
func checkTogether(t control.StorageType, cluster control.Values, nodes map[string]map[string][]string) error {
	var wrong []error
	if err := t.CheckTogether(control.Resolve(t, cluster, nil)); err != nil {
		wrong = append(wrong, err)
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if err := t.CheckTogether(control.Resolve(t, cluster, nodes[name])); err != nil && len(wrong) == 0 {
			wrong = append(wrong, fmt.Errorf("for node %s: %w", name, err))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: storage options:\n%w", control.ErrUsage, errors.Join(wrong...))
	}
	return nil
}

// storageOf returns what the state has of a storage type.
func storageOf(s *state.State, name string) state.Storage {
	if known := s.Storage[name]; known != nil {
		return *known
	}
	return state.Storage{}
}

// storeStorage changes what the state has of a storage type.
func storeStorage(store control.Store, name string, change func(*state.Storage)) error {
	return store.Update(func(s *state.State) error {
		if s.Storage == nil {
			s.Storage = make(map[string]*state.Storage)
		}
		if s.Storage[name] == nil {
			s.Storage[name] = &state.Storage{}
		}
		change(s.Storage[name])
		return nil
	})
}

func equalValues(a, b control.Values) bool { return maps.EqualFunc(a, b, slices.Equal) }

// sentence says what is stored, an option each.
func sentence(owner string, t control.StorageType, values control.Values) string {
	return "state: " + t.Name() + " on " + owner + ": " + control.OptionWords(t, values, "only defaults")
}

// storageInfo is what is known of a storage type, for the output.
type storageInfo struct {
	Type        string                `json:"type"`
	ID          string                `json:"id,omitempty"`
	Group       string                `json:"group,omitempty"`
	Initialised bool                  `json:"initialised"`
	Options     []control.OptionValue `json:"options"`
}

// storageInfos returns what is known of all types, for the cluster or for a node.
func (a *app) storageInfos(s *state.State, node string) []storageInfo {
	infos := make([]storageInfo, len(a.storage))
	for i, t := range a.storage {
		known := storageOf(s, t.Name())
		infos[i] = storageInfo{
			Type: t.Name(), ID: known.ID, Group: known.Group, Initialised: !known.Initialised.IsZero(),
			Options: control.Resolve(t, known.Options, known.Nodes[node]),
		}
	}
	return infos
}

// optionTable shows options with their sources.
func (a *app) optionTable(infos []storageInfo) *table {
	t := a.newTable("STORAGE", "OPTION", "VALUE", "SOURCE")
	for _, info := range infos {
		for _, o := range info.Options {
			t.add(info.Type, o.Name, strings.Join(o.Values, ","), o.Source)
		}
	}
	return t
}
