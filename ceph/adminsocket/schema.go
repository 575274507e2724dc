package adminsocket

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unique"

	"github.com/valyala/fastjson"
)

// Kind is what a perf counter measures.
type Kind uint8

// The kinds of perf counters.
const (
	// Gauge goes up and down.
	Gauge Kind = iota + 1
	// Count only grows, until the daemon starts again.
	Count
	// Average is a sum and a number of observations, both of which only grow, although the schema says "gauge".
	Average
)

// The bits of "type" in a schema, as Ceph's source names them.
const (
	bitLongRunAvg = 4
	bitHistogram  = 16
)

// Counter is one perf counter as the schema describes it.
type Counter struct {
	// Logger is the group that the counter stands in, without what makes it unique in this process only.
	Logger string
	// Name is the counter's own name.
	Name        string
	Description string
	Kind        Kind
	// Priority says how interesting it is: 10 critical, 8 interesting, 5 useful, 2 uninteresting, 0 debug.
	Priority int
	// LabelNames and LabelValues are the labels of a labelled counter, in the order of the names, and those that
	// were taken out of the logger's name.
	LabelNames, LabelValues []string
}

// Schema is which counters a daemon has, and how its dumps are read.
type Schema struct {
	// Counters are those that are wanted, without histograms.
	Counters []Counter
	// Layout reads dumps.
	Layout *Layout
}

// Layout says where dumps hold which counter: all that is needed of a schema while the daemon lives, and small, as
// there are many daemons. Dumps have the order of the schema, which makes lookups cheap.
type Layout struct {
	loggers []loggerLayout
	// counters is how many there are.
	counters int
}

// loggerLayout is one logger of a dump, by its name and labels.
type loggerLayout struct {
	key   name
	names []name
	index []int32 // into the counters, or ignored
}

// Equal tells whether two layouts read every dump alike.
func (l *Layout) Equal(other *Layout) bool {
	return l.counters == other.counters && slices.EqualFunc(l.loggers, other.loggers, func(a, b loggerLayout) bool {
		return a.key == b.key && slices.Equal(a.names, b.names) && slices.Equal(a.index, b.index)
	})
}

// name is one copy of what every daemon has.
type name = unique.Handle[string]

// ignored stands in the index for what a dump holds and nobody wants.
const ignored = -1

// SchemaParser reads schemas; it keeps its memory from one to the next. It is not safe for concurrent use. The zero value
// is ready.
type SchemaParser struct {
	json fastjson.Parser
}

// ParseSchema is Parse of a parser that nobody uses again.
func ParseSchema(data []byte, keep func(*Counter) bool) (*Schema, error) {
	return new(SchemaParser).Parse(data, keep)
}

// Parse reads the answer to PerfSchema or CounterSchema. Counters that differ only in what is unique to the
// process, such as a pointer in the logger's name, become one. What keep does not want is left out; nil wants all.
func (p *SchemaParser) Parse(data []byte, keep func(*Counter) bool) (*Schema, error) {
	root, err := asObject(p.json.ParseBytes(data))
	if err != nil {
		return nil, fmt.Errorf("parse perf schema: %w", err)
	}
	s := &Schema{Layout: &Layout{}}
	known := make(map[string]int32)
	visitLoggers(root, func(key []byte, logger string, labels, counters *fastjson.Object) {
		base := Counter{}
		base.Logger, base.LabelNames, base.LabelValues = splitLogger(logger, labels)
		layout := loggerLayout{
			key:   unique.Make(string(key)),
			names: make([]name, 0, counters.Len()), index: make([]int32, 0, counters.Len()),
		}
		counters.Visit(func(counter []byte, v *fastjson.Value) {
			name := unique.Make(string(counter))
			layout.names = append(layout.names, name)
			c := base
			c.Name = name.Value()
			if !c.parse(v) || keep != nil && !keep(&c) {
				layout.index = append(layout.index, ignored)
				return
			}
			id := c.id()
			i, twin := known[id]
			if !twin {
				i = int32(len(s.Counters))
				known[id] = i
				s.Counters = append(s.Counters, c)
			}
			layout.index = append(layout.index, i)
		})
		s.Layout.loggers = append(s.Layout.loggers, layout)
	})
	s.Layout.counters = len(s.Counters)
	return s, nil
}

// id is the same for counters that are the same series.
func (c *Counter) id() string {
	return strings.Join(slices.Concat([]string{c.Logger, c.Name}, c.LabelNames, c.LabelValues), "\x00")
}

// parse takes in what the schema says of a counter. It returns false for what is none, or a histogram.
func (c *Counter) parse(v *fastjson.Value) bool {
	kind := v.GetInt("type")
	if v.Type() != fastjson.TypeObject || kind&bitHistogram != 0 {
		return false
	}
	c.Description = string(v.GetStringBytes("description"))
	c.Priority = v.GetInt("priority")
	switch {
	case kind&bitLongRunAvg != 0:
		c.Kind = Average
	case string(v.GetStringBytes("metric_type")) == "counter":
		c.Kind = Count
	default:
		c.Kind = Gauge
	}
	return true
}

// visitLoggers calls f for every logger of a dump or schema: those of "perf", which are objects, and those of
// "counter", which are arrays of {labels, counters}. key is the logger's name with its labels, valid during the
// call only.
func visitLoggers(root *fastjson.Object, f func(key []byte, logger string, labels, counters *fastjson.Object)) {
	var key []byte
	root.Visit(func(name []byte, v *fastjson.Value) {
		switch v.Type() {
		case fastjson.TypeObject:
			f(name, string(name), nil, v.GetObject())
		case fastjson.TypeArray:
			for _, entry := range v.GetArray() {
				labels, counters := entry.GetObject("labels"), entry.GetObject("counters")
				if counters == nil {
					continue
				}
				key = labelledKey(append(key[:0], name...), labels)
				f(key, string(name), labels, counters)
			}
		}
	})
}

func labelledKey(key []byte, labels *fastjson.Object) []byte {
	if labels != nil {
		labels.Visit(func(k []byte, v *fastjson.Value) {
			key = append(append(append(append(key, 0), k...), 0), v.GetStringBytes()...)
		})
	}
	return key
}

var (
	pointer  = regexp.MustCompile(`-0x[0-9a-f]+`)
	librbd   = regexp.MustCompile(`librbd-([0-9a-f]+)-.*`)
	mirrored = regexp.MustCompile(`^(rbd_mirror_(?:snapshot_)?image)_([^/]+)/(?:([^/]+)/)?(.+)$`)
	zoneSync = regexp.MustCompile(`^data-sync-from-(.+)$`)
)

// splitLogger takes out of a logger's name what would make a new metric family for every process, image or zone: the
// address of an object ("objecter-0x55d0c1a2b3c0"); the image of a librbd client ("librbd-1a2b-vms-disk0",
// "objectcacher-librbd-1a2b-vms-disk0"), whose id becomes the label image_id; the image that rbd-mirror replays before
// release 18 ("rbd_mirror_image_vms/disk0", with a namespace "rbd_mirror_image_vms/ns/disk0"), which becomes the labels
// pool, namespace and image; and the zone that a RADOS gateway copies from ("data-sync-from-zone1"), which becomes the
// label source_zone.
func splitLogger(logger string, labels *fastjson.Object) (name string, names, values []string) {
	name = pointer.ReplaceAllString(logger, "")
	pairs := make(map[string]string)
	if m := librbd.FindStringSubmatch(name); m != nil {
		name = librbd.ReplaceAllLiteralString(name, "librbd")
		pairs["image_id"] = m[1]
	}
	if m := mirrored.FindStringSubmatch(name); m != nil {
		name = m[1]
		pairs["pool"], pairs["namespace"], pairs["image"] = m[2], m[3], m[4]
	}
	if m := zoneSync.FindStringSubmatch(name); m != nil {
		name = "data-sync-from-zone"
		pairs["source_zone"] = m[1]
	}
	if labels != nil {
		labels.Visit(func(k []byte, v *fastjson.Value) { pairs[string(k)] = string(v.GetStringBytes()) })
	}
	for k := range pairs {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		values = append(values, pairs[k])
	}
	return name, names, values
}

// ParseDescriptions reads the answer to Descriptions and returns the commands that the daemon knows, for example
// "perf dump".
func ParseDescriptions(data []byte) (map[string]bool, error) {
	root, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("parse command descriptions: %w", err)
	}
	known := make(map[string]bool)
	root.Visit(func(_ []byte, v *fastjson.Value) {
		var words []string
		for _, word := range v.GetArray("sig") {
			if word.Type() == fastjson.TypeString {
				words = append(words, string(word.GetStringBytes()))
			}
		}
		if len(words) > 0 {
			known[strings.Join(words, " ")] = true
		}
	})
	return known, nil
}

func parseObject(data []byte) (*fastjson.Object, error) {
	return asObject(fastjson.ParseBytes(data))
}

// asObject takes what a parser returned. The part of the answer that the parser quotes is left out of the error:
// it differs from one answer to the next.
func asObject(v *fastjson.Value, err error) (*fastjson.Object, error) {
	if err != nil {
		what, _, _ := strings.Cut(err.Error(), "; unparsed tail")
		return nil, fmt.Errorf("%w: %s", ErrReply, what)
	}
	object, err := v.Object()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReply, err)
	}
	return object, nil
}
