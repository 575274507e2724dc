package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/flock"
)

// DefaultPath is where the state is kept.
const DefaultPath = "/var/lib/cephctl/state.json"

var (
	// ErrLocked is in the error when somebody else is changing things.
	ErrLocked = errors.New("somebody else is at work")
	// ErrNotLocked is in the error when something is changed without the lock: a mistake in cephctl.
	ErrNotLocked = errors.New("the lock is not held")
)

// File keeps the state in a file. The version before it is beside it, as PATH.1, and so is the lock. All its methods
// may be called from several goroutines.
type File struct {
	path string

	mu   sync.Mutex
	held bool
}

// NewFile returns the state in the file at path, which Update makes.
func NewFile(path string) *File { return &File{path: path} }

func (f *File) previous() string { return f.path + ".1" }

// Load returns the state; that of a new installation when there is neither file nor previous version.
func (f *File) Load() (*State, error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.loadNew()
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	s, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w%s", f.path, err, f.wayOut(err))
	}
	return s, nil
}

// loadNew begins from empty only where nothing was before.
func (f *File) loadNew() (*State, error) {
	if _, err := os.Lstat(f.previous()); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read state: %s is gone, but there is the version before it: look at it, then cp -p %s %s",
			f.path, f.previous(), f.path)
	}
	return &State{Version: Version, Storage: map[string]*Storage{}}, nil
}

// wayOut says what to do about a broken file.
func (f *File) wayOut(err error) string {
	if !errors.Is(err, errBroken) {
		return ""
	}
	if _, err := os.Lstat(f.previous()); err != nil {
		return ": there is no version before it: restore the file from a backup"
	}
	return fmt.Sprintf(": the version before it is %s: look at both, then cp -p %s %s", f.previous(), f.previous(), f.path)
}

// Update changes the state and writes it, or does neither. The caller must hold the lock.
func (f *File) Update(change func(*State) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.held {
		return fmt.Errorf("change state: %w", ErrNotLocked)
	}
	s, err := f.Load()
	if err != nil {
		return err
	}
	if err := change(s); err != nil {
		return err
	}
	s.Version = Version
	s.Serial++
	return f.write(s)
}

func (f *File) write(s *State) error {
	data, err := encode(s)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := write(f.path, f.previous(), data); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// Keep puts a copy of the state of another host here, unless what is here is as new. The error wraps ErrLocked while
// somebody changes things here.
func (f *File) Keep(ctx context.Context, s *State) error {
	release, err := f.Lock(ctx, "keep a copy of the state")
	if err != nil {
		return err
	}
	defer release()
	if s.Version != Version {
		return fmt.Errorf("keep a copy of the state: its version is %d, and this cephctl has %d", s.Version, Version)
	}
	// One that can't be read is not overwritten either.
	if here, err := f.Load(); err != nil || here.Serial >= s.Serial {
		return err
	}
	return f.write(s)
}

// Lock makes the caller the one who may change things, until release is called or the process ends. It does not wait:
// the error wraps ErrLocked and says who holds it, since when and for what.
func (f *File) Lock(ctx context.Context, command string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("lock state: %w", err)
	}
	free, err := flock.Take(filepath.Join(filepath.Dir(f.path), "lock"), flock.Me(command))
	var held *flock.HeldError
	if errors.As(err, &held) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, held.Holder)
	}
	if err != nil {
		return nil, err
	}
	f.setHeld(true)
	return sync.OnceFunc(func() {
		f.setHeld(false)
		free()
	}), nil
}

func (f *File) setHeld(held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = held
}
