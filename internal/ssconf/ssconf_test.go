package ssconf_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/ssconf"
)

func TestLines(t *testing.T) {
	dir := ssconf.Dir(t.TempDir())
	for text, want := range map[string][]string{
		"": nil, "\n \n": nil, "node1.lab": {"node1.lab"}, "d94b default\n\n5f1a other \n": {"d94b default", "5f1a other"},
	} {
		if err := os.WriteFile(dir.Path("nodegroups"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := dir.Lines("nodegroups")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, (-want +got):\n%s", text, err, diff)
		}
	}
	if _, err := dir.Lines("node_list"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}
