package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// writeFile makes a file what it is to be, at one stroke.
type writeFile struct {
	path    string
	content []byte
	mode    fs.FileMode
	owner   string
}

func (w writeFile) lines() []string {
	return []string{fmt.Sprintf("write %s (%04o %s)", w.path, w.mode, w.owner)}
}

func (w writeFile) do(_ context.Context, h *Host) error {
	uid, gid, err := h.ids(w.owner)
	if err != nil {
		return err
	}
	// A run that was killed may have left it, with a secret in it.
	temporary := temporaryName(w.path)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove left-over file: %w", err)
	}
	if w.isThere(uid, gid) {
		return nil
	}
	if err := createFile(temporary, w.content, w.mode, uid, gid); err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	if err := os.Rename(temporary, w.path); err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("put file in place: %w", err)
	}
	return syncFolder(filepath.Dir(w.path))
}

func temporaryName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".cephctl")
}

func (w writeFile) isThere(uid, gid int) bool {
	info, err := os.Lstat(w.path)
	if err != nil || info.Mode() != w.mode {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != uid || int(stat.Gid) != gid {
		return false
	}
	content, err := os.ReadFile(w.path)
	return err == nil && bytes.Equal(content, w.content)
}

// createFile writes a new file that at no moment others may read who may not in the end.
func createFile(path string, content []byte, mode fs.FileMode, uid, gid int) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Chown(uid, gid); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes a rename outlive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// makeDir makes a folder. One that is there stays as it is.
type makeDir struct {
	path  string
	mode  fs.FileMode
	owner string
}

func (m makeDir) lines() []string {
	return []string{quote([]string{
		"install", "-d", "-m", fmt.Sprintf("%04o", m.mode), "-o", m.owner, "-g", m.owner, m.path,
	})}
}

func (m makeDir) do(ctx context.Context, h *Host) error {
	if isDir(m.path) {
		return nil
	}
	uid, gid, err := h.ids(m.owner)
	if err != nil {
		return err
	}
	parent := makeDir{path: filepath.Dir(m.path), mode: 0o755, owner: rootUser}
	if err := parent.do(ctx, h); err != nil {
		return err
	}
	// Under another name first, so that it is there with its owner and mode or not at all.
	temporary := temporaryName(m.path)
	if err := os.RemoveAll(temporary); err != nil {
		return fmt.Errorf("remove left-over folder: %w", err)
	}
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(temporary, m.mode); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Lchown(temporary, uid, gid); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Rename(temporary, m.path); err != nil {
		return fmt.Errorf("put folder in place: %w", err)
	}
	return nil
}

// link makes a symbolic link, in the place of an older one.
type link struct{ target, path string }

func (l link) lines() []string { return []string{quote([]string{"ln", "-sfn", l.target, l.path})} }

func (l link) do(_ context.Context, h *Host) error {
	uid, gid, err := h.ids(cephUser)
	if err != nil {
		return err
	}
	temporary := temporaryName(l.path)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove left-over link: %w", err)
	}
	if err := os.Symlink(l.target, temporary); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	if err := os.Lchown(temporary, uid, gid); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	if err := os.Rename(temporary, l.path); err != nil {
		return fmt.Errorf("put link in place: %w", err)
	}
	return nil
}

// give makes a file or device Ceph's, and nobody else's.
type give struct{ path string }

func (g give) lines() []string {
	return []string{quote([]string{"chown", "ceph:ceph", g.path}), quote([]string{"chmod", "0660", g.path})}
}

func (g give) do(_ context.Context, h *Host) error {
	uid, gid, err := h.ids(cephUser)
	if err != nil {
		return err
	}
	if err := os.Chown(g.path, uid, gid); err != nil {
		return fmt.Errorf("give to ceph: %w", err)
	}
	if err := os.Chmod(g.path, 0o660); err != nil {
		return fmt.Errorf("give to ceph: %w", err)
	}
	return nil
}

// remove takes a file, or a folder with all that is in it, away.
type remove struct {
	path string
	file bool
}

func (r remove) lines() []string {
	flags := "-rf"
	if r.file {
		flags = "-f"
	}
	return []string{quote([]string{"rm", flags, r.path})}
}

func (r remove) do(context.Context, *Host) error {
	for _, path := range []string{r.path, temporaryName(r.path)} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
	}
	return nil
}

// removeEmpty takes a folder away if nothing is in it.
type removeEmpty struct{ path string }

func (r removeEmpty) lines() []string {
	return []string{quote([]string{"rmdir", "--ignore-fail-on-non-empty", r.path})}
}

func (r removeEmpty) do(context.Context, *Host) error {
	err := os.Remove(r.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("remove folder: %w", err)
	}
	return nil
}

// rename gives what is complete its name.
type rename struct{ from, to string }

func (r rename) lines() []string { return []string{quote([]string{"mv", "-T", r.from, r.to})} }

func (r rename) do(context.Context, *Host) error {
	if err := os.Rename(r.from, r.to); err != nil {
		return fmt.Errorf("put in place: %w", err)
	}
	return syncFolder(filepath.Dir(r.to))
}
