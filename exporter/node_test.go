package exporter

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestNode(t *testing.T) {
	state := t.TempDir()
	content := `{"cluster":"lab","node":"node1","group":"default","storage":"ceph","fsid":"bce9b4ab-e2b2-44e6-9bcd-82948ba9de8a","roles":["osd","mon","mgr","mon"],"time":"2026-11-25T21:08:45Z"}`
	if err := os.WriteFile(filepath.Join(state, "node.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	node := NewNode(NodeOptions{CephctlState: state, GanetiState: "testdata/none", Host: "node1"})
	node.now = func() time.Time { return time.Date(2026, 11, 25, 21, 10, 15, 0, time.UTC) }
	checkGolden(t, "testdata/node.prom", ownFamilies(t, node))
}

// A node of which cephctl has said nothing is not a failure.
func TestNodeWithoutFile(t *testing.T) {
	if got := ownFamilies(t, NewNode(NodeOptions{CephctlState: t.TempDir(), GanetiState: t.TempDir()})); len(got) != 0 {
		t.Errorf("families: %v", got)
	}
}
