// Package librbd reads the I/O counters that librbd keeps in a client's process, for example in QEMU.
package librbd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fastjson"
)

// ErrDump is in the error when a dump is not what a client's admin socket gives.
var ErrDump = errors.New("malformed dump")

// Counters are what a client did with one image since it opened it.
type Counters struct {
	// ID is the image's id in its pool.
	ID string
	// name is pool and image with a dash between them, as librbd has it; either may hold dashes itself.
	name string

	Read, Write, Discard, Flush Operations
}

// Operations counts one kind of I/O. A flush has no bytes.
type Operations struct {
	// Count is how many were begun.
	Count, Bytes float64
	// Done is how many have ended, and Seconds the sum of the times that they took.
	Done    uint64
	Seconds float64
}

// Of tells whether the counters are those of an image. librbd does not say its namespace.
func (c Counters) Of(pool, image string) bool {
	rest, ok := strings.CutPrefix(c.name, pool)
	return ok && len(rest) > 0 && rest[0] == '-' && rest[1:] == image
}

// Parser reads dumps; it keeps its memory from one to the next. It is not safe for concurrent use. The zero value
// is ready.
type Parser struct {
	json     fastjson.Parser
	counters []Counters
}

// Parse reads the counters of every open image from what a client's admin socket answers to "perf dump". The
// result is valid until the next call.
//
// Similar to: ceph --admin-daemon PATH perf dump
func (p *Parser) Parse(dump []byte) ([]Counters, error) {
	root, err := p.json.ParseBytes(dump)
	if err != nil {
		return nil, fmt.Errorf("parse counters of librbd: %w: %w", ErrDump, err)
	}
	loggers, err := root.Object()
	if err != nil {
		return nil, fmt.Errorf("parse counters of librbd: %w: %w", ErrDump, err)
	}
	p.counters = p.counters[:0]
	loggers.Visit(func(key []byte, v *fastjson.Value) {
		if name, ok := strings.CutPrefix(string(key), "librbd-"); ok {
			if id, name, ok := strings.Cut(name, "-"); ok && v.Type() == fastjson.TypeObject {
				p.counters = append(p.counters, parseCounters(id, name, v))
			}
		}
	})
	return p.counters, nil
}

func parseCounters(id, name string, v *fastjson.Value) Counters {
	return Counters{
		ID: id, name: name,
		Read:    parseOperations(v, "rd", "rd_bytes", "rd_latency"),
		Write:   parseOperations(v, "wr", "wr_bytes", "wr_latency"),
		Discard: parseOperations(v, "discard", "discard_bytes", "discard_latency"),
		Flush:   parseOperations(v, "flush", "", "flush_latency"),
	}
}

func parseOperations(v *fastjson.Value, count, bytes, latency string) Operations {
	o := Operations{
		Count:   v.GetFloat64(count),
		Done:    v.GetUint64(latency, "avgcount"),
		Seconds: v.GetFloat64(latency, "sum"),
	}
	if bytes != "" {
		o.Bytes = v.GetFloat64(bytes)
	}
	return o
}
