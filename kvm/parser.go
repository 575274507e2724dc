package kvm

import (
	"fmt"

	"github.com/valyala/fastjson"
)

// Parser parses the answers that come in every scrape. It keeps its memory from one to the next, and is not safe
// for concurrent use. The zero value is ready.
type Parser struct {
	json  fastjson.Parser
	stats []BlockStats
}

// Status reads the answer to QueryStatus and returns the run state, for example "running", "paused" or "io-error".
// New releases of QEMU bring new ones.
func (p *Parser) Status(answer []byte) (string, error) {
	message, err := p.json.ParseBytes(answer)
	if err != nil {
		return "", fmt.Errorf("parse status: %w: %w", ErrAnswer, err)
	}
	status := text(message, "return", "status")
	if status == "" {
		return "", fmt.Errorf("parse status: %w: no status", ErrAnswer)
	}
	return status, nil
}
