package nodeinfo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), Name)
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	content := `{"cluster":"lab","node":"node1","group":"default","storage":"ceph","fsid":"bce9b4ab","roles":["mon","osd"],"time":"2026-11-25T21:08:45Z","new":1}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	want := Info{
		Cluster: "lab", Node: "node1", Group: "default", Storage: "ceph", FSID: "bce9b4ab", Roles: []string{"mon", "osd"},
		Time: time.Date(2026, 11, 25, 21, 8, 45, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

func TestParseErrors(t *testing.T) {
	for _, content := range []string{"", "null", "[]", "{}", `{"node":"x"}`, `{"node":1,"time":"2026-11-25T21:08:45Z"}`, `{"node":"x","time":"now"}`} {
		if got, err := Parse([]byte(content)); err == nil {
			t.Errorf("%s: %+v", content, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"node":"node1","time":"2026-11-25T21:08:45Z"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		info, err := Parse(content)
		if err == nil && (info.Node == "" || info.Time.IsZero()) {
			t.Errorf("%q: %+v", content, info)
		}
	})
}
