package adminsocket

import (
	"fmt"
	"math"
	"slices"

	"github.com/valyala/fastjson"
)

// Value is the value of one counter: of a Gauge or Count in Sum, of an Average the sum (seconds for times) and
// the number of observations.
type Value struct {
	Sum   float64
	Count uint64
	// Known is false when the dump did not hold the counter.
	Known bool
}

// Dump is the values of one dump, in the order of its schema's counters.
type Dump struct {
	Values []Value
	// Unknown is how many counters the dump holds that the schema lacks, because they came after it was read.
	Unknown int
}

// DumpParser reads dumps; it keeps its memory from one to the next. It is not safe for concurrent use. The zero
// value is ready.
type DumpParser struct {
	json fastjson.Parser
	dump Dump
	key  []byte // of a logger, with its labels
}

// Parse reads the answer to PerfDump or CounterDump with the layout of a schema of the same kind. The result is
// valid until the next call. What the schema lacks is passed over.
func (p *DumpParser) Parse(data []byte, layout *Layout) (*Dump, error) {
	if p.scan(data, layout) {
		return &p.dump, nil
	}
	return p.parse(data, layout)
}

// begin forgets the dump before.
func (p *DumpParser) begin(layout *Layout) {
	p.dump.Unknown = 0
	p.dump.Values = slices.Grow(p.dump.Values[:0], layout.counters)[:layout.counters]
	clear(p.dump.Values)
}

// parse reads a dump of any form.
func (p *DumpParser) parse(data []byte, layout *Layout) (*Dump, error) {
	root, err := asObject(p.json.ParseBytes(data))
	if err != nil {
		return nil, fmt.Errorf("parse perf dump: %w", err)
	}
	p.begin(layout)
	next := 0
	visitLoggers(root, func(key []byte, _ string, _, counters *fastjson.Object) {
		i := find(len(layout.loggers), next, func(i int) bool { return layout.loggers[i].key.Value() == string(key) })
		if i < 0 {
			p.dump.Unknown += counters.Len()
			return
		}
		next = i + 1
		p.counters(&layout.loggers[i], counters)
	})
	return &p.dump, nil
}

func (p *DumpParser) counters(layout *loggerLayout, counters *fastjson.Object) {
	next := 0
	counters.Visit(func(name []byte, v *fastjson.Value) {
		i := find(len(layout.names), next, func(i int) bool { return layout.names[i].Value() == string(name) })
		if i < 0 {
			p.dump.Unknown++
			return
		}
		next = i + 1
		if to := layout.index[i]; to != ignored {
			p.dump.Values[to].add(v)
		}
	})
}

// find returns the first index below n, from next on and around, for which is holds; -1 when there is none.
func find(n, next int, is func(i int) bool) int {
	for i := next; i < n; i++ {
		if is(i) {
			return i
		}
	}
	for i := range min(next, n) {
		if is(i) {
			return i
		}
	}
	return -1
}

// add takes in a value. Counters that became one in the schema are added up.
func (d *Value) add(v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeNumber:
		if f, err := v.Float64(); err == nil {
			d.Sum += f
			d.Known = true
		}
	case fastjson.TypeObject:
		sum, count := v.Get("sum"), v.Get("avgcount")
		if sum == nil || count == nil {
			return
		}
		s, err := sum.Float64()
		n, err2 := count.Float64()
		if err == nil && err2 == nil {
			d.Sum += s
			d.Count += toUint64(n)
			d.Known = true
		}
	}
}

func toUint64(f float64) uint64 {
	switch {
	case !(f > 0): // NaN as well
		return 0
	case f >= math.MaxUint64:
		return math.MaxUint64
	}
	return uint64(f)
}
