package exporter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"weak"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// daemonState is what is kept of a daemon while it lives. It belongs to the daemon's target, which is never
// called twice at the same time.
type daemonState struct {
	socket adminsocket.Socket
	file   socketFile
	pid    int
	// labelled is true for a daemon that knows "counter dump".
	labelled bool
	plan     *plan
	// unknown is how many counters the last dump held that even the newest schema lacks.
	unknown int
}

// socketFile tells a socket file from the next one of the same path. File systems use inodes again.
type socketFile struct {
	inode   uint64
	changed syscall.Timespec
}

func (s *daemonState) dumpCommand() adminsocket.Command {
	if s.labelled {
		return adminsocket.CounterDump
	}
	return adminsocket.PerfDump
}

func (s *daemonState) schemaCommand() adminsocket.Command {
	if s.labelled {
		return adminsocket.CounterSchema
	}
	return adminsocket.PerfSchema
}

func (s *daemonState) isMon() bool { return s.socket.Type == "mon" }

// changed tells whether the daemon is another one than last time, as far as its socket file says.
func (s *daemonState) changed() bool {
	var file socketFile
	if info, err := os.Stat(s.socket.Path); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			file = socketFile{inode: stat.Ino, changed: stat.Ctim}
		}
	}
	if s.plan != nil && s.file == file {
		return false
	}
	s.file, s.plan = file, nil
	return true
}

// learn finds out what the daemon can do and reads its schema: two commands, once in its life.
func (d *Daemon) learn(ctx context.Context, state *daemonState) error {
	reply, err := d.opts.Caller.Call(ctx, state.socket.Path, adminsocket.Descriptions, nil)
	if err != nil {
		return err
	}
	known, err := adminsocket.ParseDescriptions(reply.Data)
	if err != nil {
		return err
	}
	state.pid, state.unknown = reply.PID, 0
	state.labelled = known[adminsocket.CounterDump.String()] && known[adminsocket.CounterSchema.String()]
	return d.learnSchema(ctx, state)
}

// learnSchema reads the schema. It is large, so it gets no buffer of the pool.
func (d *Daemon) learnSchema(ctx context.Context, state *daemonState) error {
	reply, err := d.opts.Caller.Call(ctx, state.socket.Path, state.schemaCommand(), nil)
	if err != nil {
		return err
	}
	if reply.PID != state.pid {
		return errStartedAnew
	}
	schema, err := d.parseSchema(reply.Data)
	if err != nil {
		return err
	}
	schema.Layout = d.share(schema.Layout)
	state.plan = d.makePlan(schema, state.socket)
	return nil
}

// share returns the layout of another daemon in the place of one that is equal to it.
func (d *Daemon) share(layout *adminsocket.Layout) *adminsocket.Layout {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.layouts = slices.DeleteFunc(d.layouts, func(p weak.Pointer[adminsocket.Layout]) bool { return p.Value() == nil })
	for _, p := range d.layouts {
		if known := p.Value(); known != nil && known.Equal(layout) {
			return known
		}
	}
	d.layouts = append(d.layouts, weak.Make(layout))
	return layout
}

// parseSchema takes a parser that it does not need, so that few schemas are parsed at once: each takes a megabyte.
func (d *Daemon) parseSchema(data []byte) (*adminsocket.Schema, error) {
	parser := <-d.parsers
	defer func() { d.parsers <- parser }()
	schemas := d.schemas.Get().(*adminsocket.SchemaParser)
	defer d.schemas.Put(schemas)
	return schemas.Parse(data, d.keep)
}

var errStartedAnew = errors.New("daemon was started anew while it was read")

// keep tells which counters are wanted: those of the priority, and those that know the sum of a histogram.
func (d *Daemon) keep(c *adminsocket.Counter) bool {
	return c.Priority >= d.opts.Priority || d.opts.Histograms && c.Kind == adminsocket.Average
}

// plan says which metric each counter of a dump becomes.
type plan struct {
	layout *adminsocket.Layout
	slots  []slot
	// latencies are where the sums of the histograms stand in a dump, by "logger.counter"; sums are those of the
	// last one.
	latencies map[string]int
	sums      map[string]float64
}

// slot is one series.
type slot struct {
	counter int // index into the dump
	family  *Family
	labels  []string
}

func (d *Daemon) makePlan(schema *adminsocket.Schema, socket adminsocket.Socket) *plan {
	p := &plan{layout: schema.Layout, latencies: make(map[string]int), sums: make(map[string]float64)}
	who, name := "ceph_daemon", socket.Daemon()
	if id, ok := socket.InstanceID(); ok {
		who, name = "instance_id", id
	}
	unlabelled := []string{name}
	for i, c := range schema.Counters {
		if c.Kind == adminsocket.Average && d.opts.Histograms {
			p.latencies[c.Logger+"."+c.Name] = i
		}
		if c.Priority < d.opts.Priority {
			continue
		}
		labels := unlabelled
		if len(c.LabelValues) > 0 {
			labels = slices.Concat(unlabelled, c.LabelValues)
		}
		p.slots = append(p.slots, slot{counter: i, family: d.family(c, who), labels: labels})
	}
	return p
}

// family returns the one family for counters of the same name, kind and labels. who is the label that names the daemon.
func (d *Daemon) family(c adminsocket.Counter, who string) *Family {
	names := []string{who}
	for _, name := range c.LabelNames {
		names = append(names, labelName(name, names))
	}
	f := &Family{
		Name: metricName(c.Logger, c.Name), Help: help(c), Kind: kindOfCounter(c.Kind), Labels: names,
		Source: "perf dump", Cost: "shared", Ceph: true,
	}
	key := fmt.Sprint(f.Name, f.Kind, names)
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.families[key]; known != nil {
		return known
	}
	d.families[key] = f
	return f
}

func kindOfCounter(k adminsocket.Kind) Kind {
	switch k {
	case adminsocket.Average:
		return Summary
	case adminsocket.Count:
		return Counter
	default:
		return Gauge
	}
}

func help(c adminsocket.Counter) string {
	if c.Description == "" {
		return strings.ToValidUTF8(fmt.Sprintf("Perf counter %s of %s.", c.Name, c.Logger), "?")
	}
	return strings.ToValidUTF8(c.Description, "?")
}

func (p *plan) emit(dump *adminsocket.Dump, b *Batch) {
	b.Grow(len(p.slots) + 8)
	for i := range p.slots {
		s := &p.slots[i]
		v := &dump.Values[s.counter]
		switch {
		case !v.Known:
		case s.family.Kind == Summary:
			b.AddSummary(s.family, v.Sum, v.Count, s.labels...)
		default:
			b.Add(s.family, v.Sum, s.labels...)
		}
	}
	for name, i := range p.latencies {
		p.sums[name] = dump.Values[i].Sum
	}
}

// metricName makes the name that Ceph's own exporters give to a perf counter.
func metricName(logger, counter string) string {
	name := logger + "_" + counter
	if head, ok := strings.CutSuffix(name, "-"); ok {
		name = head + "_minus"
	}
	name = strings.ReplaceAll(name, "::", "_")
	name = strings.ReplaceAll(name, "+", "_plus")
	return "ceph_" + legal(name, true)
}

// labelName makes a legal label name that is not among those that are taken.
func labelName(name string, taken []string) string {
	name = legal(name, false)
	if name == "" || name[0] >= '0' && name[0] <= '9' || strings.HasPrefix(name, "__") {
		name = "label_" + name
	}
	for slices.Contains(taken, name) {
		name += "_"
	}
	return name
}

// legal puts an underscore in the place of what must not stand in a name. The colon, legal in a metric's name
// only, stays there as it does with Ceph's own exporters.
func legal(name string, colon bool) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', colon && c == ':':
			return c
		}
		return '_'
	}, name)
}
