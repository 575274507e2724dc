package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pauseFile says until when the hooks are paused.
func (a *app) pauseFile() string { return filepath.Join(a.config.StateDir, "hooks-paused") }

// pausedUntil returns until when the hooks are paused, or zero. A file that can't be read pauses nothing.
func (a *app) pausedUntil() time.Time {
	text, err := os.ReadFile(a.pauseFile())
	if err != nil {
		return time.Time{}
	}
	until, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil || !a.now().Before(until) {
		return time.Time{}
	}
	return until
}

// pause pauses the hooks, or lets them work again.
func (a *app) pause(until time.Time, paused bool) error {
	if !paused {
		if err := os.Remove(a.pauseFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("end the pause: %w", err)
		}
		return nil
	}
	if err := os.MkdirAll(a.config.StateDir, 0o700); err != nil {
		return fmt.Errorf("pause the hooks: %w", err)
	}
	return replaceFile(a.pauseFile(), []byte(until.Format(time.RFC3339)+"\n"))
}
