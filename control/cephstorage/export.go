package cephstorage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// bundle is what a new master needs: the state, and what lets it speak to the cluster. It holds the admin's key.
type bundle struct {
	Version int          `json:"version"`
	Time    time.Time    `json:"time"`
	State   *state.State `json:"state"`
	Conf    string       `json:"conf"`
	Keyring string       `json:"keyring"`
}

const bundleVersion = 1

// Export writes the state, ceph.conf and the admin's key to a new file that only root can read.
func (s *Storage) Export(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s exists: name a new file", control.ErrUsage, path)
	}
	st, err := s.env.Store.Load()
	if err != nil {
		return err
	}
	b := bundle{Version: bundleVersion, Time: time.Now().UTC(), State: st}
	for name, content := range map[string]*string{defaultConfig: &b.Conf, defaultKeyring: &b.Keyring} {
		data, err := os.ReadFile(s.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("export: %w", err)
		}
		*content = string(data)
	}
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return writeSecret(path, string(data)+"\n")
}

// Restore puts on this host what Export has written on another: it becomes the master. It refuses where there is a state
// or a ceph.conf already that is not the same.
func (s *Storage) Restore(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: restore: %w", control.ErrUsage, err)
	}
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil || b.State == nil {
		return fmt.Errorf("%w: %s is not a file of \"cephctl storage export\"", control.ErrUsage, path)
	}
	if b.Version != bundleVersion {
		return fmt.Errorf("%w: %s has version %d, this cephctl knows %d: use the cephctl that wrote it", control.ErrUsage, path, b.Version, bundleVersion)
	}
	release, err := s.env.Store.Lock(ctx, "cephctl storage restore")
	if err != nil {
		return err
	}
	defer release()
	if err := s.checkRestore(&b); err != nil {
		return err
	}
	for name, content := range map[string]string{defaultConfig: b.Conf, defaultKeyring: b.Keyring} {
		if content == "" {
			continue
		}
		if err := writeSecret(s.path(name), content); err != nil {
			return err
		}
	}
	if b.Conf != "" {
		if err := os.Chmod(s.path(defaultConfig), 0o644); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	return s.env.Store.Update(func(st *state.State) error {
		serial := st.Serial
		*st = *b.State
		st.Serial = max(serial, b.State.Serial)
		return nil
	})
}

func (s *Storage) checkRestore(b *bundle) error {
	st, err := s.env.Store.Load()
	if err != nil {
		return err
	}
	switch own, saved := st.Storage[Name], b.State.Storage[Name]; {
	case own == nil || own.ID == "":
	case saved == nil || own.ID != saved.ID:
		return fmt.Errorf("%w: this host keeps the state of another storage cluster (%s)", control.ErrBlocked, own.ID)
	case st.Serial > b.State.Serial && !isSameState(st, b.State):
		return fmt.Errorf("%w: this host keeps a newer state of this storage cluster: if that is wrong, move %s and %s.1 away",
			control.ErrBlocked, state.DefaultPath, state.DefaultPath)
	}
	for name, content := range map[string]string{defaultConfig: b.Conf, defaultKeyring: b.Keyring} {
		have, err := os.ReadFile(s.path(name))
		if err == nil && string(have) != content {
			return fmt.Errorf("%w: %s exists and is another one: move it away", control.ErrBlocked, name)
		}
	}
	return nil
}

// isSameState tells whether two states differ by no more than how often they were written.
func isSameState(a, b *state.State) bool {
	var texts [2]string
	for i, s := range []*state.State{a, b} {
		plain := *s
		plain.Serial = 0
		text, err := json.Marshal(plain)
		if err != nil {
			return false
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}
