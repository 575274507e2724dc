package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// Name is what a request to a node names this part by.
const Name = "guest"

// Handler does what a master asks about instances.
type Handler struct {
	Runner control.Runner
	// Disks are those who know the disk templates, by their names.
	Disks map[string]control.DiskHost
	// Root is the folder that /proc, /sys and /dev are in: empty but in tests.
	Root string
}

var _ interface {
	agent.Handler
	agent.Locker
} = Handler{}

// Lock implements agent.Locker: what changes an instance waits for what else does.
func (h Handler) Lock(action string, payload json.RawMessage) string {
	r, err := parseRequest(payload)
	if err != nil || action == ActionLook || action == ActionCheck || action == ActionProve {
		return "" // Handle tells about the error
	}
	return r.lockFile()
}

// Handle carries out one action and returns its answer, or nil when it has none.
func (h Handler) Handle(ctx context.Context, action string, payload json.RawMessage, progress func(string)) (any, error) {
	r, err := parseRequest(payload)
	if err != nil {
		return nil, err
	}
	switch action {
	case ActionLook:
		return h.look(ctx, r)
	case ActionCheck:
		return h.check(ctx, r)
	case ActionProve:
		return h.prove(ctx, r)
	case ActionStart:
		return h.start(ctx, r, progress)
	case ActionStop:
		return h.stop(ctx, r, progress)
	case ActionCreate:
		return nil, h.create(ctx, r)
	case ActionRemove:
		return nil, h.remove(ctx, r)
	case ActionRelease:
		return nil, h.release(ctx, r)
	case ActionActivate:
		return h.activate(ctx, r)
	case ActionDeactivate:
		return nil, h.deactivate(ctx, r)
	case ActionRemember:
		return nil, h.remember(ctx, r)
	}
	return nil, fmt.Errorf("unknown action %q", action)
}

func (h Handler) qemu(r *Request) *kvm.Host {
	host := kvm.NewHost(h.Runner, r.dir())
	host.Procfs, host.Dev, host.Shared = h.path("proc"), h.path("dev"), r.Ganeti
	return host
}

func (h Handler) path(name string) string { return filepath.Join("/", h.Root, name) }

// disk returns who knows a disk's template.
func (h Handler) disk(d control.DiskSpec) (control.DiskHost, error) {
	host, ok := h.Disks[d.Template]
	if !ok {
		return nil, fmt.Errorf("disk %d: disk template %q is unknown here", d.Index, d.Template)
	}
	return host, nil
}

// create makes images. Those that were made before one that can't be are removed again.
func (h Handler) create(ctx context.Context, r *Request) error {
	for i, d := range r.Disks {
		host, err := h.disk(d)
		if err == nil {
			err = host.Create(ctx, d)
		}
		if err != nil {
			made := *r
			made.Disks = r.Disks[:i]
			return withUndo(err, h.remove(context.WithoutCancel(ctx), &made))
		}
	}
	return nil
}

func (h Handler) remove(ctx context.Context, r *Request) error {
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err == nil {
			err = host.Remove(ctx, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// release takes the claims on the disks away whose holders are dead, or are to be fenced.
func (h Handler) release(ctx context.Context, r *Request) error {
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err == nil {
			err = h.takeAway(ctx, r, host, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// withUndo adds to an error what could not be undone.
func withUndo(err, undo error) error {
	if undo == nil {
		return err
	}
	return fmt.Errorf("%w; and that could not be undone: %w", err, undo)
}

// readText returns the content of a small file without the end of line.
func readText(path string) (string, error) {
	data, err := os.ReadFile(path)
	return strings.TrimSpace(string(data)), err
}
