package state

import (
	"encoding/json"
	"errors"
	"fmt"
)

// errBroken is in the error when the file is not what was once written.
var errBroken = errors.New("it is broken")

// decode reads the version first: the rest of a newer file may have other types.
func decode(data []byte) (*State, error) {
	var schema struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		return nil, fmt.Errorf("%w (%w)", errBroken, err)
	}
	if schema.Version > Version {
		return nil, fmt.Errorf("it has version %d, this cephctl knows versions up to %d: install the newer cephctl that wrote it",
			schema.Version, Version)
	}
	if schema.Version < 1 {
		return nil, fmt.Errorf("%w (it has no version)", errBroken)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w (%w)", errBroken, err)
	}
	for name, known := range s.Storage {
		if known == nil {
			return nil, fmt.Errorf("%w (nothing is known of storage type %s)", errBroken, name)
		}
	}
	if s.Storage == nil {
		s.Storage = map[string]*Storage{}
	}
	return &s, nil
}

// encode returns the file's content. It is indented: people read it when something is wrong.
func encode(s *State) ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}
