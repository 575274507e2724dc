package adminsocket

import (
	"fmt"
	"math"

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
	key  []byte
}

// Parse reads the answer to PerfDump or CounterDump with the schema of the same kind. The result is valid until
// the next call. What the schema lacks is passed over.
func (p *DumpParser) Parse(data []byte, schema *Schema) (*Dump, error) {
	root, err := asObject(p.json.ParseBytes(data))
	if err != nil {
		return nil, fmt.Errorf("parse perf dump: %w", err)
	}
	p.dump.Unknown = 0
	if n := len(schema.counters); cap(p.dump.Values) >= n {
		p.dump.Values = p.dump.Values[:n]
		clear(p.dump.Values)
	} else {
		p.dump.Values = make([]Value, n)
	}
	root.Visit(func(name []byte, v *fastjson.Value) { p.logger(name, v, schema) })
	return &p.dump, nil
}

func (p *DumpParser) logger(name []byte, v *fastjson.Value, schema *Schema) {
	switch v.Type() {
	case fastjson.TypeObject:
		p.counters(schema.index[string(name)], v.GetObject())
	case fastjson.TypeArray:
		for _, entry := range v.GetArray() {
			if counters := entry.GetObject("counters"); counters != nil {
				p.key = labelledKey(append(p.key[:0], name...), entry.GetObject("labels"))
				p.counters(schema.index[string(p.key)], counters)
			}
		}
	}
}

func (p *DumpParser) counters(index map[string]int, counters *fastjson.Object) {
	counters.Visit(func(name []byte, v *fastjson.Value) {
		i, ok := index[string(name)]
		switch {
		case !ok:
			p.dump.Unknown++
		case i != ignored:
			p.dump.Values[i].add(v)
		}
	})
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
