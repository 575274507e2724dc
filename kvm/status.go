package kvm

import (
	"encoding/json"
	"fmt"
)

// ParseStatus reads the answer to QueryStatus and returns the run state, for example "running", "paused" or
// "io-error". New releases of QEMU bring new ones.
func ParseStatus(answer []byte) (string, error) {
	var message struct{ Return struct{ Status string } }
	if err := json.Unmarshal(answer, &message); err != nil {
		return "", fmt.Errorf("parse status: %w: %w", ErrAnswer, err)
	}
	if message.Return.Status == "" {
		return "", fmt.Errorf("parse status: %w: no status", ErrAnswer)
	}
	return message.Return.Status, nil
}
