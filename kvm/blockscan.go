package kvm

import (
	"math"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/jsonscan"
)

// scanBlockStats reads an answer of the form that QEMU gives, without a tree of it. It returns false for everything else, be it
// valid or not: BlockStats has the last word then.
func (p *Parser) scanBlockStats(answer []byte) bool {
	s := blockScanner{jsonscan.New(answer)}
	n := 0
	s.Must('{')
	s.WantName("return")
	for more := s.Begins('['); more && !s.Ends(']'); more = s.GoesOn(']') {
		if n++; n > cap(p.stats) {
			p.stats = append(p.stats[:n-1], BlockStats{})
		}
		p.stats = p.stats[:n]
		s.disk(&p.stats[n-1])
	}
	s.Must(']')
	s.Must('}')
	p.stats = p.stats[:n]
	return s.Done()
}

// blockScanner reads the parts of an answer. What comes twice is not as QEMU gives it.
type blockScanner struct{ jsonscan.Scanner }

// disk reads a disk into d, which holds one of the last answer.
func (s *blockScanner) disk(d *BlockStats) {
	last := d.BlockID
	*d = BlockStats{IdleSeconds: math.NaN()}
	var device, node, qdev, stats, parent bool
	for more := s.Begins('{'); more && !s.Ends('}'); more = s.GoesOn('}') {
		switch name := s.Name(); string(name) {
		case "device":
			s.once(&device)
			d.Device = same(last.Device, s.Text())
		case "node-name":
			s.once(&node)
			d.Node = same(last.Node, s.Text())
		case "qdev":
			s.once(&qdev)
			d.Qdev = same(last.Qdev, s.Text())
		case "stats":
			s.once(&stats)
			s.counters(d)
		case "parent":
			s.once(&parent)
			s.below(d, 0)
		default:
			s.Skip()
		}
	}
	s.Must('}')
	if !stats {
		s.Fail()
	}
}

func (s *blockScanner) once(seen *bool) {
	if *seen {
		s.Fail()
	}
	*seen = true
}

func (s *blockScanner) counters(d *BlockStats) {
	for more := s.Begins('{'); more && !s.Ends('}'); more = s.GoesOn('}') {
		field, unit := d.field(s.Name())
		if field == nil {
			s.Skip()
			continue
		}
		n, ok := s.Number()
		if !ok {
			s.Fail()
		}
		*field = n * unit
	}
	s.Must('}')
}

// maxBelow is how many nodes there may be below each other.
const maxBelow = 50

// below reads the node at a depth below the topmost, and those below it.
func (s *blockScanner) below(d *BlockStats, depth int) {
	if depth == maxBelow {
		s.Fail()
	}
	at := len(d.Below)
	var node, parent bool
	for more := s.Begins('{'); more && !s.Ends('}'); more = s.GoesOn('}') {
		switch name := s.Name(); string(name) {
		case "node-name":
			s.once(&node)
			if name := s.Text(); len(name) > 0 && !generated(string(name)) {
				d.Below = slices.Insert(d.Below, at, string(name))
			}
		case "parent":
			s.once(&parent)
			s.below(d, depth+1)
		default:
			s.Skip()
		}
	}
	s.Must('}')
}
