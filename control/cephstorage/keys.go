package cephstorage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// monKeyringPath is where the first keys lie until the cluster stands: they must be the same when init goes on.
const monKeyringPath = etcCeph + "/ceph.mon.keyring"

// firstKeyring returns the keyring that the first mon begins with, with the keys of "mon." and client.admin. It makes
// it once.
func (s *Storage) firstKeyring(ctx context.Context) (string, error) {
	path := s.path(monKeyringPath)
	content, err := os.ReadFile(path)
	if err == nil {
		return string(content), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the first keys: %w", err)
	}
	var b strings.Builder
	for _, entity := range []string{"mon.", adminEntity} {
		key, err := s.env.Runner.Run(ctx, nil, "ceph-authtool", "--gen-print-key")
		if err != nil {
			return "", fmt.Errorf("make the key of %s: %w", entity, err)
		}
		fmt.Fprintf(&b, "[%s]\n\tkey = %s\n\tcaps mon = \"allow *\"\n", entity, bytes.TrimSpace(key))
		if entity == adminEntity {
			b.WriteString("\tcaps mgr = \"allow *\"\n\tcaps osd = \"allow *\"\n\tcaps mds = \"allow *\"\n")
		}
	}
	return b.String(), writeSecret(path, b.String())
}

// adminPart returns the section of client.admin of a keyring.
func adminPart(keyring string) string {
	i := strings.Index(keyring, "["+adminEntity+"]")
	return keyring[max(0, i):]
}

// writeSecret writes a file that only root can read, whole or not at all.
func writeSecret(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// Made with mode 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// removeFirstKeys takes the file of firstKeyring away.
func (s *Storage) removeFirstKeys() error {
	if err := os.Remove(s.path(monKeyringPath)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the first keys: %w", err)
	}
	return nil
}

// path returns where a file of this host is.
func (s *Storage) path(name string) string { return filepath.Join("/", s.Root, name) }

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(line)
}
