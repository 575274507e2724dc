// Package flock makes one process at a time the one who may work. The kernel frees the lock when the process dies; the
// file says to others who has it.
package flock

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"syscall"
	"time"
)

// Holder is who has a lock.
type Holder struct {
	PID int `json:"pid"`
	// Who is user@host.
	Who     string    `json:"who"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"`
}

// Me returns this process as a holder from now on.
func Me(command string) Holder {
	name := "?"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ := os.Hostname() // without one, the process id still tells
	return Holder{PID: os.Getpid(), Who: name + "@" + host, Since: time.Now().Round(time.Second), Command: command}
}

// String returns the holder as people read it.
func (h Holder) String() string {
	if h.PID == 0 {
		return "a process that has only just begun"
	}
	return fmt.Sprintf("%s (process %d) since %s: %s", h.Who, h.PID, clock(h.Since), h.Command)
}

// clock leaves out the day when it is today.
func clock(t time.Time) string {
	t = t.Local()
	if t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// HeldError is the error when somebody else has the lock.
type HeldError struct{ Holder Holder }

// Error says who.
func (e *HeldError) Error() string { return "held by " + e.Holder.String() }

// Take takes the lock in the file at path, which it makes together with its folder (the folder holds more than locks, so
// others may look into it), or returns a *HeldError. It does
// not wait. The lock is freed by release, or when the process ends.
func Take(path string, holder Holder) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := lock(f, holder); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() {
		_ = f.Truncate(0) // only what people read: closing is what frees
		f.Close()
	}, nil
}

func lock(f *os.File, holder Holder) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &HeldError{Holder: read(f)}
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(holder)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}

// read returns who has written the file. It is nobody for as long as a new holder has not.
func read(f *os.File) Holder {
	var h Holder
	if err := json.NewDecoder(f).Decode(&h); err != nil {
		return Holder{}
	}
	return h
}
