package cluster

// MonState is what a mon says of itself through its admin socket.
type MonState struct {
	Name string `json:"name"`
	// State is "leader" or "peon" in quorum; "probing", "synchronizing", "electing" and others out of it.
	State string `json:"state"`
}

// ParseMonState reads the answer to the admin-socket command mon_status.
func ParseMonState(data []byte) (MonState, error) {
	var s MonState
	err := decode(data, &s)
	if err == nil && s.State == "" {
		err = errShape
	}
	return s, err
}
