package kvm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDiskLink(t *testing.T) {
	for name, want := range map[string]DiskLink{
		"web1.example.org:0": {"web1.example.org", "0"},
		"web1.example.org:3fb0c2d4-0a9e-4f5c-8d57-7f2a9d1c1e11": {"web1.example.org", "3fb0c2d4-0a9e-4f5c-8d57-7f2a9d1c1e11"},
		"web1.example.org": {},
		":0":               {},
		"web1:":            {},
	} {
		if got, ok := parseDiskLink(name); got != want || ok != (want != DiskLink{}) {
			t.Errorf("parseDiskLink(%q) = %v, %v, want %v", name, got, ok, want)
		}
	}
}

// Two links to one device: the index wins, whichever comes first.
func TestDiskLinksPrefersIndex(t *testing.T) {
	for _, uuid := range []string{"0aaa", "faaa"} {
		run := t.TempDir()
		dir := filepath.Join(run, "instance-disks")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, disk := range []string{uuid, "5"} {
			if err := os.Symlink("/dev/rbd3", filepath.Join(dir, "web1:"+disk)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := DiskLinks(run)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]DiskLink{"rbd3": {"web1", "5"}}, got, cmp.AllowUnexported(DiskLink{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func FuzzParseDiskLink(f *testing.F) {
	f.Add("web1.example.org:0")
	f.Add("::")
	f.Fuzz(func(t *testing.T, name string) {
		if d, ok := parseDiskLink(name); ok && d.Instance+":"+d.Disk != name {
			t.Errorf("parseDiskLink(%q) = %+v", name, d)
		}
	})
}
