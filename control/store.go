package control

import (
	"context"
	"errors"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

var _ Store = (*state.File)(nil)

// Store keeps the state of cephctl.
type Store interface {
	// Load returns the state; that of a new installation when there is no file.
	Load() (*state.State, error)
	// Update changes the state and writes it, or does neither. The caller must hold the lock.
	Update(change func(*state.State) error) error
	// Lock makes the caller the one who may change things, until release is called or the process ends. The error
	// wraps ErrLocked and says who holds it, since when and for what.
	Lock(ctx context.Context, command string) (release func(), err error)
}

var (
	// ErrUnknown is in errors about a node or group that the inventory does not have.
	ErrUnknown = errors.New("not in the inventory")
	// ErrExists is in errors about a node or group that is there already.
	ErrExists = errors.New("exists already")
	// ErrClaimed is in errors about an image that somebody else may write to.
	ErrClaimed = errors.New("is claimed")
	// ErrLocked is in the error when somebody else is changing things.
	ErrLocked = state.ErrLocked
	// ErrUnreachable is in errors about a node that has not answered.
	ErrUnreachable = errors.New("unreachable")
	// ErrRefused is in errors about a node that is up, though no agent has answered there: it let nobody in, or has none.
	ErrRefused = errors.New("refused")
	// ErrNotDone is in errors about a request that was refused before anything was done.
	ErrNotDone = errors.New("not done")
	// ErrBlocked is in the error when a plan has blockers.
	ErrBlocked = errors.New("can't be done")
	// ErrUsage is in errors about what was typed.
	ErrUsage = errors.New("usage")
)
