// Package capture writes what the daemons of this node answer as files that tests can read: how a case is
// reported, and how testdata is made. It asks once all that the lists of the packages under ceph/ and kvm/ allow; some
// of it, such as a daemon's version, no collector needs.
package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter/capture/redact"
)

// ErrNothing is returned when this node has nothing to capture.
var ErrNothing = errors.New("no Ceph daemon, guest, mapped image or cluster found on this node")

// SocketCaller asks a daemon through its admin socket. *adminsocket.Client is one.
type SocketCaller interface {
	Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error)
}

// ClusterRunner asks the mons and the mgr. *rados.Conn is one.
type ClusterRunner interface {
	Run(ctx context.Context, cmd rados.Command) ([]byte, error)
}

// Options say what is captured and how.
type Options struct {
	// Version is that of this program.
	Version string
	// Redact replaces names and addresses and removes secrets.
	Redact bool
	// Host is the name of this node, to be replaced even where no answer says that it is one.
	Host string
	// CephRun, GanetiRun and CephctlRun are the run directories; CephConfig is ceph.conf, without which no
	// cluster is asked; GanetiState is where Ganeti says which release it is.
	CephRun, CephConfig, GanetiRun, CephctlRun, GanetiState string
	Procfs, Sysfs                                           string
	// Timeout is how long one daemon or guest may take for one answer.
	Timeout time.Duration
	// Perf has the mgr asked for the I/O of images, for which it installs queries in the OSDs.
	Perf    bool
	Now     time.Time
	Sockets SocketCaller
	Cluster ClusterRunner
}

// Write captures into dir, which is made, or must be empty. What can't be read is in the manifest; an error means
// that nothing was written, or not all that was read.
func Write(ctx context.Context, dir string, opts Options) (*Manifest, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	t := &take{opts: opts, versions: make(map[string]string)}
	t.daemons(ctx)
	t.cluster(ctx)
	t.guests(ctx)
	t.kernel(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(t.files) == 0 && len(t.failed) == 0 {
		return nil, ErrNothing
	}
	m := t.manifest()
	if opts.Redact {
		t.redact(m)
	}
	return m, write(dir, t.files, m)
}

// take is what has been read so far.
type take struct {
	opts     Options
	files    []file
	failed   []Failure
	versions map[string]string
	known    redact.Known
}

// file is one answer, and where it goes below the directory.
type file struct {
	path    string
	content string
	// source is the command or path that it comes from.
	source string
}

func (t *take) add(source, content string, path ...string) {
	t.files = append(t.files, file{path: strings.Join(path, "/"), content: content, source: source})
}

func (t *take) fail(what string, err error) {
	t.failed = append(t.failed, Failure{What: what, Why: err.Error()})
}

// bounded gives one call its deadline.
func (t *take) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.opts.Timeout)
}

// fileName makes a file's name of a command: "perf dump" is perf_dump.json.
func fileName(command string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(command) + ".json"
}

// release shortens a version to what behaviour depends on: 16.2.15 is 16.2, 3.1.0~rc2 is 3.1.
func release(version string) string {
	match := majorMinor.FindString(version)
	if match == "" {
		return "unknown"
	}
	return match
}

var majorMinor = regexp.MustCompile(`^[0-9]+\.[0-9]+`)

// redact redacts contents, paths and errors together, so that names are replaced alike.
func (t *take) redact(m *Manifest) {
	if t.opts.Host != "" {
		t.known.Hosts = append(t.known.Hosts, t.opts.Host)
	}
	var docs []string
	for _, f := range t.files {
		docs = append(docs, f.content, f.path, f.source)
	}
	for _, f := range m.Failed {
		docs = append(docs, f.What, f.Why)
	}
	docs, m.Replaced = redact.Documents(t.known, docs)
	for i := range t.files {
		t.files[i] = file{content: docs[3*i], path: docs[3*i+1], source: docs[3*i+2]}
		m.Files[i] = File{Path: t.files[i].path, Source: t.files[i].source}
	}
	docs = docs[3*len(t.files):]
	for i := range m.Failed {
		m.Failed[i] = Failure{What: docs[2*i], Why: docs[2*i+1]}
	}
}

// prepare makes the directory.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: give a new directory", dir)
	}
	return nil
}
