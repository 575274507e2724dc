package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

// Host keeps the scripts of this node. It implements agent.Handler.
type Host struct {
	// Dir is Ganeti's folder of hooks; Dir when empty.
	Dir string
	// Program is the path of this cephctl; that of the running one when empty.
	Program string
}

// Handle implements agent.Handler: it observes, installs or removes, and returns Facts.
func (h Host) Handle(_ context.Context, action string, _ json.RawMessage, _ func(string)) (any, error) {
	h, err := h.withDefaults()
	if err != nil {
		return nil, err
	}
	switch action {
	case agent.ActionObserve:
	case ActionInstall:
		err = h.install()
	case ActionRemove:
		err = h.remove()
	default:
		err = fmt.Errorf("hooks: no action is called %q", action)
	}
	if err != nil {
		return nil, err
	}
	return h.observe()
}

func (h Host) withDefaults() (Host, error) {
	if h.Dir == "" {
		h.Dir = Dir
	}
	if h.Program != "" {
		return h, nil
	}
	program, err := os.Executable()
	if err != nil {
		return h, fmt.Errorf("find this program: %w", err)
	}
	h.Program = program
	return h, nil
}

func (h Host) path(folder string) string { return filepath.Join(h.Dir, folder, script) }

func (h Host) observe() (Facts, error) {
	facts := Facts{Installed: []string{}, Missing: []string{}, Different: []string{}}
	if _, err := os.Stat(filepath.Dir(h.Dir)); err == nil {
		facts.Ganeti = true
	}
	for _, folder := range folders {
		text, err := os.ReadFile(h.path(folder))
		if errors.Is(err, fs.ErrNotExist) {
			facts.Missing = append(facts.Missing, folder)
			continue
		}
		if err != nil {
			return facts, fmt.Errorf("read hook: %w", err)
		}
		info, err := os.Stat(h.path(folder))
		if err != nil {
			return facts, fmt.Errorf("look at hook: %w", err)
		}
		if string(text) != content(h.Program, folder) || info.Mode().Perm()&0o111 == 0 {
			facts.Different = append(facts.Different, folder)
			continue
		}
		facts.Installed = append(facts.Installed, folder)
	}
	return facts, nil
}

func (h Host) install() error {
	if _, err := os.Stat(filepath.Dir(h.Dir)); err != nil {
		return fmt.Errorf("install hooks: there is no Ganeti on this node: %w", err)
	}
	for _, folder := range folders {
		if err := h.write(folder); err != nil {
			return fmt.Errorf("install hook %s: %w", folder, err)
		}
	}
	return nil
}

// write puts a script in its place in one go: Ganeti never runs half of one. Meanwhile its name has a dot.
func (h Host) write(folder string) error {
	path := h.path(folder)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, []byte(content(h.Program, folder)), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(part, 0o755); err != nil { // whatever the umask is
		return err
	}
	return os.Rename(part, path)
}

// remove takes the scripts away, and leaves the folders: others have scripts in them.
func (h Host) remove() error {
	for _, folder := range folders {
		if err := os.Remove(h.path(folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove hook: %w", err)
		}
	}
	return nil
}
