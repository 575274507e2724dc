package kvm

import (
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/jsonscan"
)

// Parser parses the answers that come in every scrape of one guest. It keeps what it made of the last one for the next, which is
// nearly the same. It is not safe for concurrent use. The zero value is ready.
type Parser struct {
	status string
	stats  []BlockStats
}

// trees are for what is not of the form that QEMU gives.
var trees fastjson.ParserPool

func parseTree(tree *fastjson.Parser, answer []byte) (*fastjson.Value, error) {
	message, err := tree.ParseBytes(answer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return message, nil
}

// Status reads the answer to QueryStatus and returns the run state, for example "running", "paused" or "io-error".
// New releases of QEMU bring new ones.
func (p *Parser) Status(answer []byte) (string, error) {
	if p.scanStatus(answer) {
		return p.status, nil
	}
	status, err := parseStatus(answer)
	if err != nil {
		return "", fmt.Errorf("parse status: %w", err)
	}
	return status, nil
}

// parseStatus reads an answer of any form.
func parseStatus(answer []byte) (string, error) {
	tree := trees.Get()
	defer trees.Put(tree)
	message, err := parseTree(tree, answer)
	if err != nil {
		return "", err
	}
	status := text(message, "return", "status")
	if status == "" {
		return "", fmt.Errorf("%w: no status", ErrAnswer)
	}
	return status, nil
}

// scanStatus reads {"return": {"status": STATUS, ...}} into p.status. It returns false for everything else, be it valid or not.
func (p *Parser) scanStatus(answer []byte) bool {
	s, before, seen := jsonscan.New(answer), p.status, false
	p.status = ""
	s.Must('{')
	s.WantName("return")
	for more := s.Begins('{'); more && !s.Ends('}'); more = s.GoesOn('}') {
		if !seen && s.IsNamed("status") {
			seen, p.status = true, same(before, s.Text())
		} else {
			s.Name()
			s.Skip()
		}
	}
	s.Must('}')
	s.Must('}')
	return s.Done() && p.status != ""
}

// same returns a text as a string, as that of the last answer if it is the same.
func same(before string, text []byte) string {
	if before == string(text) {
		return before
	}
	return string(text)
}
