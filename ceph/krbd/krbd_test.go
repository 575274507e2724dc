package krbd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMappings(t *testing.T) {
	got, err := Mappings(t.Context(), "testdata/linux/6.1/two")
	if err != nil {
		t.Fatal(err)
	}
	want := []Mapping{
		{
			Device: "rbd0", Pool: "vms", PoolID: 2, Image: "381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0",
			ImageID: "10a6f2a2b3c4", SizeBytes: 1 << 30, Features: 0x3d, Client: "client4235",
			ClientAddr: "192.0.2.11:0/3562049007", FSID: "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21",
			IO: IO{
				Reads: 1523, ReadBytes: 150136 * 512, ReadTime: 2310 * time.Millisecond,
				Writes: 8811, WrittenBytes: 913408 * 512, WriteTime: 60421 * time.Millisecond,
				WritesInFlight: 2,
			},
		},
		{
			Device: "rbd1", Pool: "backup", PoolID: 7, Namespace: "tenant-a", Image: "nightly image",
			ImageID: "85d1ab1d3f1e", Snapshot: "before-upgrade", SizeBytes: 32 << 30, Features: 1, Client: "client4301",
			ClientAddr: "[2001:db8::b]:0/81234567", FSID: "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21",
			IO: IO{Reads: 101, ReadBytes: 5048 * 512, ReadTime: 55 * time.Millisecond, ReadsInFlight: 1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mappings (-want +got):\n%s", diff)
	}
}

func TestMappingsWithoutModule(t *testing.T) {
	if _, err := Mappings(t.Context(), t.TempDir()); !errors.Is(err, ErrNoModule) {
		t.Errorf("err = %v, want ErrNoModule", err)
	}
}

func TestMappingsNoneMapped(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "bus/rbd/devices"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Mappings(t.Context(), root)
	if err != nil || len(got) != 0 {
		t.Errorf("Mappings = %v, %v, want none", got, err)
	}
}

// An old kernel lacks what later ones added: the mapping is there without it.
func TestMappingsOnOldKernel(t *testing.T) {
	root := copyTree(t)
	for _, name := range []string{"pool_ns", "client_addr", "cluster_fsid"} {
		remove(t, root, "devices/rbd/1/"+name)
	}
	got, err := Mappings(t.Context(), root)
	if err != nil || len(got) != 2 {
		t.Fatalf("Mappings = %d mappings, %v, want 2", len(got), err)
	}
	if m := got[1]; m.Namespace != "" || m.ClientAddr != "" || m.FSID != "" || m.Pool != "backup" {
		t.Errorf("mapping = %+v", m)
	}
}

func TestMappingsThatVanish(t *testing.T) {
	for _, gone := range []string{
		"devices/rbd/1/pool", "devices/rbd/1/pool_id", "devices/rbd/1/name", "devices/rbd/1/image_id",
		"devices/rbd/1/current_snap", "devices/rbd/1/features", "devices/rbd/1/size",
		"devices/rbd/1/block/rbd1/stat", "devices/rbd/1/block/rbd1/inflight", "block/rbd1", "devices/rbd/1",
	} {
		t.Run(gone, func(t *testing.T) {
			root := copyTree(t)
			remove(t, root, gone)
			got, err := Mappings(t.Context(), root)
			if err != nil {
				t.Errorf("err = %v, want none", err)
			}
			if len(got) != 1 || got[0].Device != "rbd0" {
				t.Errorf("mappings = %+v, want rbd0 only", got)
			}
		})
	}
}

func TestMappingsBroken(t *testing.T) {
	for _, name := range []string{"pool_id", "size", "features", "block/rbd1/stat", "block/rbd1/inflight"} {
		t.Run(name, func(t *testing.T) {
			root := copyTree(t)
			write(t, root, "devices/rbd/1/"+name, "many\n")
			got, err := Mappings(t.Context(), root)
			if err == nil || !strings.Contains(err.Error(), "read mapping 1: parse "+filepath.Base(name)) {
				t.Errorf("err = %v, want one that names mapping and file", err)
			}
			if len(got) != 1 || got[0].Device != "rbd0" {
				t.Errorf("mappings = %+v, want rbd0 only", got)
			}
		})
	}
}

// config_info holds the secret of the client. Here it is a fifo that nobody writes to: opening it never returns.
func TestMappingsLeavesConfigInfoAlone(t *testing.T) {
	root := copyTree(t)
	fifo := filepath.Join(root, "devices/rbd/0/config_info")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan struct{})
	go func() {
		if f, err := os.OpenFile(fifo, os.O_WRONLY, 0); err == nil {
			close(opened)
			f.Close()
		}
	}()
	got, err := Mappings(t.Context(), root)
	if err != nil || len(got) != 2 {
		t.Errorf("Mappings = %d mappings, %v, want 2", len(got), err)
	}
	select {
	case <-opened:
		t.Error("config_info was opened")
	default:
	}
	releaseWriter(t, fifo, opened)
}

// releaseWriter opens the fifo itself, so that the test's goroutine ends.
func releaseWriter(t *testing.T, fifo string, opened <-chan struct{}) {
	t.Helper()
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	<-opened
}

func TestParseStat(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want IO
		fail bool
	}{
		"kernel before 4.18": {
			in:   "1 2 3 4 5 6 7 8 9 10 11\n",
			want: IO{Reads: 1, ReadBytes: 1536, ReadTime: 4 * time.Millisecond, Writes: 5, WrittenBytes: 3584, WriteTime: 8 * time.Millisecond},
		},
		"with discards and flushes": {
			in:   "  1  0  8  1  0 0 0 0 0 0 0   9 9 9 9   9 9\n",
			want: IO{Reads: 1, ReadBytes: 4096, ReadTime: time.Millisecond},
		},
		"short":    {in: "1 2 3\n", fail: true},
		"empty":    {in: "", fail: true},
		"negative": {in: "-1 2 3 4 5 6 7 8 9 10 11\n", fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(tc.in)
			if (err != nil) != tc.fail {
				t.Fatalf("err = %v, want failure %v", err, tc.fail)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("1 2 3 4 5 6 7 8 9 10 11\n")
	f.Add("18446744073709551615 0 18446744073709551615 0 0 0 0 0 0 0 0")
	f.Fuzz(func(t *testing.T, s string) {
		if io, err := parseStat(s); err != nil && io != (IO{}) {
			t.Errorf("values beside an error: %+v", io)
		}
	})
}

func FuzzParseInflight(f *testing.F) {
	f.Add("       0        2\n")
	f.Fuzz(func(t *testing.T, s string) {
		if r, w, err := parseInflight(s); err != nil && (r != 0 || w != 0) {
			t.Errorf("values beside an error: %d, %d", r, w)
		}
	})
}

func FuzzParseNumber(f *testing.F) {
	f.Add("0x000000000000003d")
	f.Add("1073741824")
	f.Add("(none)")
	f.Fuzz(func(t *testing.T, s string) {
		_, err := parseNumber(s)
		if err == nil && s == "" {
			t.Error("no error for an empty attribute")
		}
	})
}

// copyTree returns a copy of the tree of two mappings that a test may break.
func copyTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	src := "testdata/linux/6.1/two"
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(root, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(dst, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, dst)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(dst, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func remove(t *testing.T, root, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
