package node

import (
	"context"
	"fmt"
	"os/user"
	"strconv"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// Runner runs commands on this host.
type Runner interface {
	// Run runs a command to its end, bounded by ctx, and returns what it has printed on standard output. An error
	// holds what it has printed on standard error; it may have a method ExitCode() int.
	Run(ctx context.Context, stdin []byte, argv ...string) (stdout []byte, err error)
}

// asker asks admin sockets.
type asker interface {
	Call(ctx context.Context, path string, cmd adminsocket.Command, buf []byte) (adminsocket.Reply, error)
}

// Host is the host that this runs on. New makes one for production, and a Host with nothing but a Runner is the same.
type Host struct {
	Runner Runner
	// Root is the folder that /etc, /run and /var are in: empty for the host's own. For tests.
	Root string

	sockets asker
	// owner returns the ids of a user and its group.
	owner func(name string) (uid, gid int, err error)
	// pause is between two looks at something that is waited for.
	pause time.Duration
	// upWithin is how long a daemon may take until it does its work, observed how long Observe may take.
	upWithin, observed time.Duration
}

// How long things may take: less than a master waits, so that it is told what has hung, and nobody is left at work here.
const (
	defaultUpWithin = 10 * time.Minute
	defaultObserved = 50 * time.Second
	askTimeout      = 10 * time.Second
)

// New returns the host itself.
func New(runner Runner) *Host { return &Host{Runner: runner} }

func (h *Host) layout() layout { return layout{root: h.Root} }

func (h *Host) run(ctx context.Context, argv ...string) ([]byte, error) {
	return h.Runner.Run(ctx, nil, argv...)
}

func (h *Host) ask(ctx context.Context, path string, cmd adminsocket.Command) ([]byte, error) {
	sockets := h.sockets
	if sockets == nil {
		sockets = new(adminsocket.Client)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	reply, err := sockets.Call(ctx, path, cmd, nil)
	return reply.Data, err
}

func (h *Host) ids(name string) (uid, gid int, err error) {
	if h.owner != nil {
		return h.owner(name)
	}
	if name == rootUser {
		return 0, 0, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("look up user %s: %w", name, err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, fmt.Errorf("read uid of %s: %w", name, err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, fmt.Errorf("read gid of %s: %w", name, err)
	}
	return uid, gid, nil
}

// sleep waits until the next look, or returns the error of ctx.
func (h *Host) sleep(ctx context.Context) error {
	pause := h.pause
	if pause == 0 {
		pause = 300 * time.Millisecond
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
