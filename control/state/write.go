package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// write replaces the file at path and keeps the one before it as previous. Killed at any point, it leaves a whole file
// at path: the old or the new one.
func write(path, previous string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp := path + ".new"
	if err := writeSynced(temp, data); err != nil {
		return err
	}
	if err := keep(path, previous); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// keep makes the file at path known as previous too. It is a second link, so that there is no moment without path.
func keep(path, previous string) error {
	link := previous + ".new"
	if err := removeAny(link); err != nil {
		return err
	}
	if err := os.Link(path, link); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // there is no file yet
		}
		return err
	}
	if err := os.Rename(link, previous); err != nil {
		return err
	}
	return removeAny(link) // where both are the same file already, rename leaves it
}

func removeAny(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
