package smallfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	if err := os.WriteFile(path, []byte("12 34\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]string{10: "12 34\n", 6: "12 34\n", 2: "12"} {
		if got, err := Read(path, make([]byte, size)); err != nil || string(got) != want {
			t.Errorf("into %d bytes: %q, %v", size, got, err)
		}
	}
	if _, err := Read(path+"s", make([]byte, 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
	if _, err := Read(filepath.Dir(path), make([]byte, 1)); err == nil {
		t.Error("a folder: no error")
	}
}
