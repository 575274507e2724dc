package loopback

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/smallfile"
)

// Source is where a fact comes from.
type Source string

// The sources. Without the first six a level may not be known; the others are evidence, or have one that stands in.
const (
	// SourceKRBD is what the rbd module says in sysfs, SourceNBD what the nbd module and rbd-nbd say.
	SourceKRBD Source = "krbd"
	SourceNBD  Source = "nbd"
	// SourceOSDs are the admin sockets of the node's OSDs.
	SourceOSDs Source = "osds"
	// SourceMounts are mounted file systems and swap.
	SourceMounts Source = "mounts"
	// SourceProcesses are the open files of all processes.
	SourceProcesses Source = "processes"
	// SourceMemory is what memory is available.
	SourceMemory Source = "memory"
	// SourcePressure is the kernel's count of waits for memory. Where it has none, available memory decides alone.
	SourcePressure Source = "pressure"
	// SourceRequests is debugfs. Without it requests are known by device and not by OSD.
	SourceRequests Source = "requests"
	// SourceShares are the placement groups, which only the cluster knows. The reader does not ask it.
	SourceShares Source = "pg_shares"
)

// Sources lists all that a Reader reads.
func Sources() []Source {
	return []Source{
		SourceKRBD, SourceNBD, SourceOSDs, SourceMounts, SourceProcesses, SourceMemory, SourcePressure, SourceRequests,
	}
}

// Facts are what a node says of itself.
type Facts struct {
	Node     Node      `json:"node"`
	Mappings []Mapping `json:"mappings"`
	// Missing says why a source is not known. One that does not exist here, such as the rbd module, is known: it has none.
	Missing map[Source]error `json:"-"`
}

// miss remembers why a source, or a part of it, is not known.
func (f *Facts) miss(s Source, err error) {
	if err != nil {
		f.Missing[s] = errors.Join(f.Missing[s], err)
	}
}

// Err joins the reasons why sources are not known, but for those that a kernel or a user without all rights lacks by
// nature.
func (f *Facts) Err() error {
	var errs []error
	for _, s := range Sources() {
		err := f.Missing[s]
		if s == SourceRequests || s == SourcePressure || s == SourceProcesses && errors.Is(err, fs.ErrPermission) {
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Asker asks a daemon through its admin socket. *adminsocket.Client is one.
type Asker interface {
	Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error)
}

// Options say where a Reader looks. Zero values stand for the usual places.
type Options struct {
	// Sysfs and Procfs are their roots. Debugfs is looked for below Sysfs.
	Sysfs, Procfs string
	// CephRun is where the admin sockets are, CephLib where the OSDs have their data.
	CephRun, CephLib string
	Caller           Asker
	// AskOSDs asks the OSDs also while nothing is mapped: to judge what is about to be.
	AskOSDs bool
	// Now is the clock.
	Now func() time.Time
}

// Reader reads the facts of a node. It keeps what tells the next reading what has changed: so one that is used again is
// cheap, and knows how long requests have been under way. It is not safe for concurrent use.
type Reader struct {
	opts Options

	images    map[string]image // by device
	osds      map[string]osdState
	devices   map[string]*deviceState
	processes processes
	requests  map[string]time.Time // when each was seen first
	hanging   []OSD                // those that did not answer the last time
	buf       []byte
}

// NewReader returns a reader.
func NewReader(opts Options) *Reader {
	def := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	def(&opts.Sysfs, "/sys")
	def(&opts.Procfs, "/proc")
	def(&opts.CephRun, "/var/run/ceph")
	def(&opts.CephLib, "/var/lib/ceph")
	if opts.Caller == nil {
		opts.Caller = new(adminsocket.Client)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Reader{
		opts:   opts,
		images: map[string]image{}, osds: map[string]osdState{}, devices: map[string]*deviceState{},
		requests: map[string]time.Time{},
		buf:      make([]byte, bufferSize),
	}
}

// bufferSize is more than any small file of sysfs has.
const bufferSize = 4096

// Read reads the facts. Without a mapping it looks at no process and asks no OSD, unless the options say so.
func (r *Reader) Read(ctx context.Context) Facts {
	f := Facts{Missing: map[Source]error{}}
	f.Node.Memory = r.memory(&f)
	f.Mappings = r.mappings(ctx, &f)
	r.forget(f.Mappings)
	if len(f.Mappings) > 0 || r.opts.AskOSDs {
		r.readOSDs(ctx, &f)
	}
	if len(f.Mappings) == 0 {
		if r.opts.AskOSDs {
			r.processes.osds = osdProcesses(r.opts.Procfs)
			r.countOSDs(&f)
		}
		return f
	}
	r.readUses(&f)
	r.countOSDs(&f)
	r.readRequests(&f)
	return f
}

// forget drops what is known of devices that are gone.
func (r *Reader) forget(mappings []Mapping) {
	there := make(map[string]bool, len(mappings))
	for i := range mappings {
		there[mappings[i].Device] = true
	}
	for name := range r.devices {
		if !there[name] {
			delete(r.devices, name)
		}
	}
}

// small reads a small file.
func (r *Reader) small(parts ...string) (string, error) {
	data, err := smallfile.Read(strings.Join(parts, "/"), r.buf)
	return strings.TrimSuffix(string(data), "\n"), err
}

// gone tells whether something vanished while it was looked at.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNoDevice(err) }

// explain says what was being done, and what to do about it where that is known.
func explain(doing string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w (run as root or see docs/security.md)", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
