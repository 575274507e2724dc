package cluster

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Service is a daemon that no map of the mons holds and that has told the mgr of itself instead.
type Service struct {
	Metadata

	// Type is "rgw", "rbd-mirror" or another.
	Type string
	// Key tells it from the others of its type: its global id, a number that is new whenever it starts.
	Key string
	// ID is the name that its administrator gave it, without the type.
	ID string
	// InstanceID is what an rbd-mirror calls itself, its global id. Others have none.
	InstanceID string
}

// ParseServices reads the answer to rados.ServiceDump, in the order of type and key. Daemons that only tell their
// state there, as MDSs and OSDs do at times, are left out.
func ParseServices(data []byte) ([]Service, error) {
	var answer struct {
		Services map[string]struct {
			// Daemons holds, beside the daemons by their keys, a "summary", which is a string.
			Daemons map[string]json.RawMessage `json:"daemons"`
		} `json:"services"`
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	if answer.Services == nil {
		return nil, errShape
	}
	var services []Service
	for kind, service := range answer.Services {
		for key, text := range service.Daemons {
			if len(text) == 0 || text[0] != '{' {
				continue
			}
			var daemon struct {
				Metadata *struct {
					Metadata
					ID         string `json:"id"`
					InstanceID string `json:"instance_id"`
				} `json:"metadata"`
			}
			if err := decode(text, &daemon); err != nil {
				return nil, err
			}
			if d := daemon.Metadata; d != nil && d.Version != "" {
				services = append(services, Service{d.Metadata, kind, key, d.ID, d.InstanceID})
			}
		}
	}
	slices.SortFunc(services, func(a, b Service) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Key, b.Key)) })
	return services, nil
}
