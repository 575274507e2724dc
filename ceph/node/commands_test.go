package node

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestCommands(t *testing.T) {
	node := testObject("/srv/ceph/osd-3")
	joining := node
	joining.Roles = []string{RoleMon}
	joining.Mon = &Mon{Addresses: node.Mon.Addresses, Keyring: node.Mon.Keyring, Monmap: []byte("map")}
	osd := func(id int, backend, device string) Object {
		o := node
		o.Roles = []string{RoleOSD}
		o.OSDs = []OSD{{
			ID: id, UUID: testUUID, Device: device, Backend: backend, Secret: testKey, SizeBytes: 1 << 30,
		}}
		return o
	}
	bare := node
	bare.Roles = nil
	raw, lvm := osd(3, BackendRaw, "/dev/disk/by-id/wwn-1"), osd(-1, BackendLVM, "/dev/sdb")
	daemons := []Daemon{{RoleMon, "node1"}, {RoleMgr, "node1"}, {RoleOSD, "3"}}
	for name, lines := range map[string][]string{
		"init-conf":       InitCommands(bare),
		"init-first":      InitCommands(node),
		"init-mon":        InitCommands(joining),
		"init-raw":        InitCommands(raw),
		"init-lvm":        InitCommands(lvm),
		"remove-stop":     RemoveCommands(Removal{FSID: testFSID, Daemons: daemons}, node.OSDs),
		"remove-file":     RemoveCommands(Removal{FSID: testFSID, Daemons: daemons, Data: true, Everything: true}, node.OSDs),
		"remove-raw":      RemoveCommands(Removal{FSID: testFSID, Daemons: daemons[2:], Data: true}, raw.OSDs),
		"remove-lvm":      RemoveCommands(Removal{FSID: testFSID, Daemons: daemons[2:], Data: true}, osd(3, BackendLVM, "/dev/sdb").OSDs),
		"remove-unknown":  RemoveCommands(Removal{FSID: testFSID, Daemons: daemons[2:], Data: true}, nil),
		"start":           StartCommands(daemons),
		"init-other-file": InitCommands(osd(4, BackendFile, "/srv/it's here")),
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(lines, "\n") + "\n"
			if strings.Contains(got, testKey) {
				t.Error("a secret is shown")
			}
			golden(t, filepath.Join("testdata", "commands", name+".txt"), got)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
