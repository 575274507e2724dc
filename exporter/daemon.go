package exporter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"weak"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// DaemonCaller asks a daemon through its admin socket. *adminsocket.Client is one.
type DaemonCaller interface {
	Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error)
}

// DaemonOptions are the settings of the daemon collector.
type DaemonOptions struct {
	// RunDir is where the admin sockets are.
	RunDir string
	// Procfs is the root of procfs.
	Procfs string
	// Priority is the lowest priority of the perf counters that are exported, as in the schema.
	Priority int
	// Include and Exclude choose daemons by their name, for example "osd.3"; for clients with or without "client.".
	// Nil stands for all and none.
	Include, Exclude *regexp.Regexp
	// Histograms adds latency histograms of the OSDs, for one more command a scrape to each of them.
	Histograms bool
	Caller     DaemonCaller
}

// Daemon collects the perf counters of this node's Ceph daemons and clients from their admin sockets, with the
// names and labels that Ceph's own ceph-exporter gives them.
type Daemon struct {
	opts     DaemonOptions
	hostname string
	buffers  sync.Pool // of *[]byte
	// parsers are as many as may parse at once. More would only cost memory, as parsing waits for nothing.
	parsers chan *adminsocket.DumpParser
	// schemas are pooled, and not kept like those: a megabyte each, for what is read once in a daemon's life.
	schemas sync.Pool // of *adminsocket.SchemaParser

	mu       sync.Mutex
	states   map[string]*daemonState
	families map[string]*Family
	// layouts are those in use: the OSDs of a release share one.
	layouts []weak.Pointer[adminsocket.Layout]
}

// maxParsers is how many dumps are parsed at once, at most, however many CPUs there are.
const maxParsers = 4

// NewDaemon makes the collector.
func NewDaemon(opts DaemonOptions) *Daemon {
	d := &Daemon{
		opts:     opts,
		states:   make(map[string]*daemonState),
		families: make(map[string]*Family),
		buffers:  sync.Pool{New: func() any { return new([]byte) }},
		schemas:  sync.Pool{New: func() any { return new(adminsocket.SchemaParser) }},
		parsers:  make(chan *adminsocket.DumpParser, min(runtime.GOMAXPROCS(0), maxParsers)),
	}
	for range cap(d.parsers) {
		d.parsers <- new(adminsocket.DumpParser)
	}
	if name, err := os.Hostname(); err == nil {
		d.hostname, _, _ = strings.Cut(name, ".")
	}
	return d
}

// Name implements Collector.
func (d *Daemon) Name() string { return "daemon" }

// Families implements Collector.
func (d *Daemon) Families() []*Family { return daemonFamilies() }

// Targets implements Collector: one for every socket.
func (d *Daemon) Targets(_ context.Context, b *Batch) ([]Target, error) {
	found, err := adminsocket.Find(d.opts.RunDir)
	sockets, twinErr := oneEach(slices.DeleteFunc(found, func(s adminsocket.Socket) bool { return !d.wanted(s) }))
	paths := make(map[string]string)
	processes := make(map[int]bool)
	boot := bootTime(d.opts.Procfs) // anew each time, as it moves when the clock is set
	var targets []Target
	for _, s := range sockets {
		name := s.Daemon()
		paths[name] = s.Path
		pid := s.ClientPID()
		shared := pid != 0 && processes[pid]
		processes[pid] = true
		state := d.state(s)
		targets = append(targets, Target{
			Name:     name,
			Up:       daemonSocketUp,
			UpLabels: []string{name, d.hostname},
			Collect:  func(ctx context.Context, b *Batch) error { return d.collect(ctx, state, b, boot, shared) },
		})
	}
	d.forget(paths)
	b.Add(daemonSockets, float64(len(targets)))
	return targets, errors.Join(err, twinErr)
}

// oneEach returns one socket for each name. Of two, one is usually what a daemon that is gone has left, as after a move
// to cephadm: so the one that was made last is taken, and the error names both.
func oneEach(sockets []adminsocket.Socket) (one []adminsocket.Socket, err error) {
	var errs []error
	places := make(map[string]int)
	for _, s := range sockets {
		name := s.Daemon()
		i, taken := places[name]
		if !taken {
			places[name] = len(one)
			one = append(one, s)
			continue
		}
		errs = append(errs, fmt.Errorf("%s and %s are both named %s: remove the file of the one that is gone", one[i].Path, s.Path, name))
		if made(s).After(made(one[i])) {
			one[i] = s
		}
	}
	return one, errors.Join(errs...)
}

// made returns when a socket was made, the zero time when it is gone.
func made(s adminsocket.Socket) time.Time {
	info, err := os.Stat(s.Path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (d *Daemon) wanted(s adminsocket.Socket) bool {
	return (d.opts.Include == nil || named(s, d.opts.Include)) && (d.opts.Exclude == nil || !named(s, d.opts.Exclude))
}

// named tells whether re matches a daemon's label, or its name with the type, which the label of a client lacks.
func named(s adminsocket.Socket, re *regexp.Regexp) bool {
	return re.MatchString(s.Daemon()) || re.MatchString(s.Type+"."+s.ID)
}

func (d *Daemon) state(s adminsocket.Socket) *daemonState {
	d.mu.Lock()
	defer d.mu.Unlock()
	state := d.states[s.Path]
	if state == nil {
		state = &daemonState{socket: s}
		d.states[s.Path] = state
	}
	return state
}

// forget drops what is known of sockets that are gone.
func (d *Daemon) forget(paths map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, state := range d.states {
		if paths[state.socket.Daemon()] != path {
			delete(d.states, path)
		}
	}
}

// collect reads one daemon. boot is when the node started, in seconds since the epoch, 0 when nobody knows. shared is
// true for a client when another one of the same process says what the process uses.
func (d *Daemon) collect(ctx context.Context, state *daemonState, b *Batch, boot float64, shared bool) error {
	buf := d.buffers.Get().(*[]byte)
	defer d.buffers.Put(buf)

	before := state.plan
	if err := d.counters(ctx, state, buf, b); err != nil {
		if state.socket.Type == "client" && errors.Is(err, syscall.ECONNREFUSED) {
			return ErrNoData // a client that was killed leaves its file behind for ever
		}
		return err
	}
	if !shared {
		d.process(state, b, boot)
	}
	learned := state.plan != before
	if d.opts.Histograms && !learned && state.socket.Type == "osd" {
		return d.histograms(ctx, state, buf, b)
	}
	return nil
}

// counters reads the dump. The schema is read before it, once in the daemon's life, and again when the dump holds
// what the schema lacks or comes from another process; but once a scrape at most. A mon, which is asked in the same
// scrape who leads, gives its counters from the scrape after that on.
func (d *Daemon) counters(ctx context.Context, state *daemonState, buf *[]byte, b *Batch) error {
	learned := state.changed()
	if learned {
		if err := d.learn(ctx, state); err != nil {
			return err
		}
		if state.isMon() {
			return nil
		}
	}
	command := state.dumpCommand()
	data, pid, err := d.call(ctx, state, command, buf)
	if err != nil {
		return err
	}
	if pid != state.pid {
		state.plan = nil
		if learned || state.isMon() {
			return errStartedAnew
		}
		if err := d.learn(ctx, state); err != nil {
			return err
		}
		if state.dumpCommand() != command {
			return errStartedAnew
		}
		learned = true
	}
	mark := b.Len()
	unknown, err := d.emit(state, data, b)
	if err != nil || learned || unknown == state.unknown {
		return err
	}
	if unknown > 0 {
		if err := d.learnSchema(ctx, state); err != nil {
			return err
		}
		b.truncate(mark)
		if unknown, err = d.emit(state, data, b); err != nil {
			return err
		}
	}
	state.unknown = unknown
	return nil
}

func (d *Daemon) call(ctx context.Context, state *daemonState, cmd adminsocket.Command, buf *[]byte) (data []byte, pid int, err error) {
	reply, err := d.opts.Caller.Call(ctx, state.socket.Path, cmd, *buf)
	if err != nil {
		return nil, 0, err
	}
	*buf = reply.Data
	return reply.Data, reply.PID, nil
}

// emit puts in the counters of a dump and returns how many the schema lacks.
func (d *Daemon) emit(state *daemonState, data []byte, b *Batch) (unknown int, err error) {
	parser := <-d.parsers
	defer func() { d.parsers <- parser }()
	dump, err := parser.Parse(data, state.plan.layout)
	if err != nil {
		return 0, err
	}
	state.plan.emit(dump, b)
	return dump.Unknown, nil
}

func (d *Daemon) histograms(ctx context.Context, state *daemonState, buf *[]byte, b *Batch) error {
	data, _, err := d.call(ctx, state, adminsocket.HistogramDump, buf)
	if err != nil {
		return err
	}
	found, err := adminsocket.ParseLatencyHistograms(data)
	if err != nil {
		return err
	}
	name := state.socket.Daemon()
	for _, h := range found {
		if f, ok := latencyFamilies[h.Logger+"."+h.Name]; ok {
			b.AddHistogram(f.family, state.plan.sums[h.Logger+"."+f.latency], h.Count, buckets(h), name)
		}
	}
	return nil
}

// longestBound is the last bound of the latency histograms, in seconds; what took longer is in +Inf.
const longestBound = 120

func buckets(h adminsocket.Histogram) []Bucket {
	var out []Bucket
	for i, bound := range h.Bounds {
		if bound <= longestBound {
			out = append(out, Bucket{UpperBound: bound, Count: h.Counts[i]})
		}
	}
	return out
}
