// Package loopbacktest makes folders that look like the sysfs and procfs of a node, from text.
package loopbacktest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Root writes the files of a txtar archive into a new folder and returns it. A file that consists of "-> TARGET" becomes
// a symbolic link, ^@ a NUL.
func Root(t testing.TB, archive string) string {
	t.Helper()
	parsed, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range parsed.Files {
		Write(t, root, f.Name, string(f.Data))
	}
	return root
}

// Write writes one file of a root, in the same form.
func Write(t testing.TB, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	target, isLink := strings.CutPrefix(strings.TrimSpace(content), "-> ")
	if isLink {
		err = os.Symlink(target, path)
	} else {
		err = os.WriteFile(path, []byte(strings.ReplaceAll(content, "^@", "\x00")), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
