package node

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

const (
	testFSID = "0b0e2f9a-5d7f-4d0e-8a53-5f1d2c3b4a59"
	testUUID = "7d2a1f7e-30a4-4b71-9f5f-6a1b1f0f9d11"
	testKey  = "AQDxW2VlAAAAABAA9V2qyH2y3s3oIM1yjP3iXA=="
)

// fakeTools does to files what Ceph's tools do, as far as it matters here, and remembers what was run.
type fakeTools struct {
	ran    []string
	inputs []string
	// answers are what commands print, by their beginning; errs are how they fail; creates are files that they make.
	answers map[string]string
	errs    map[string]error
	creates map[string]string
}

var (
	_ Runner = (*fakeTools)(nil)
	_ asker  = fakeSockets{}
)

func (f *fakeTools) Run(_ context.Context, stdin []byte, argv ...string) ([]byte, error) {
	line := strings.Join(argv, " ")
	f.ran = append(f.ran, line)
	f.inputs = append(f.inputs, string(stdin))
	for beginning, err := range f.errs {
		if strings.HasPrefix(line, beginning) {
			return nil, err
		}
	}
	for beginning, path := range f.creates {
		if strings.HasPrefix(line, beginning) {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return nil, err
			}
			return nil, os.WriteFile(path, nil, 0o644)
		}
	}
	for beginning, answer := range f.answers {
		if strings.HasPrefix(line, beginning) {
			return []byte(answer), nil
		}
	}
	switch argv[0] {
	case "monmaptool":
		return nil, os.WriteFile(argv[len(argv)-1], []byte("monmap"), 0o644)
	case "ceph-mon":
		return nil, os.Mkdir(filepath.Join(argument(argv, "--mon-data"), "store.db"), 0o700)
	case "ceph-osd":
		return nil, fakeMkfs(argv, string(stdin))
	case "ceph-bluestore-tool":
		return nil, fakePrime(argument(argv, "--dev"), argument(argv, "--path"))
	}
	return nil, nil
}

func argument(argv []string, option string) string {
	at := slices.Index(argv, option)
	if at < 0 {
		return ""
	}
	return argv[at+1]
}

func fakeMkfs(argv []string, key string) error {
	data := encodeLabel(argument(argv, "--osd-uuid"), map[string]string{
		"whoami": argument(argv, "-i"), "ceph_fsid": argument(argv, "--fsid"), "osd_key": key,
		"mkfs_done": "yes", "ready": "ready",
	})
	file, err := os.OpenFile(filepath.Join(argument(argv, "--osd-data"), "block"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt(data, 0)
	return err
}

func fakePrime(device, data string) error {
	found, err := readLabel(device)
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"fsid": found.UUID, "ceph_fsid": found.Meta["ceph_fsid"], "ready": found.Meta["ready"], "keyring": "key",
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// encodeLabel is the opposite of parseLabel.
func encodeLabel(uuid string, meta map[string]string) []byte {
	text := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	raw, _ := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	body := append(slices.Clone(raw), make([]byte, 16)...)
	body = text(body, "main")
	body = binary.LittleEndian.AppendUint32(body, uint32(len(meta)))
	for key, value := range meta {
		body = text(text(body, key), value)
	}
	data := append([]byte(labelMagic+uuid+"\n"), 2, 1)
	return append(binary.LittleEndian.AppendUint32(data, uint32(len(body))), body...)
}

// fakeSockets are daemons that do their work.
type fakeSockets struct{ fsid string }

func (f fakeSockets) Call(
	_ context.Context, _ string, cmd adminsocket.Command, _ []byte,
) (adminsocket.Reply, error) {
	if cmd != adminsocket.MonStatus {
		return adminsocket.Reply{Data: []byte("{}")}, nil
	}
	fsid := f.fsid
	if fsid == "" {
		fsid = testFSID
	}
	return adminsocket.Reply{Data: []byte(`{"state":"leader","monmap":{"fsid":"` + fsid + `"}}`)}, nil
}

// exitError is how commands end.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }
func (e exitError) ExitCode() int { return e.code }

// testHost is a host in a folder, where everything belongs to who runs the test.
func testHost(t *testing.T) (*Host, *fakeTools) {
	t.Helper()
	tools := &fakeTools{answers: map[string]string{}, errs: map[string]error{}, creates: map[string]string{}}
	h := &Host{Runner: tools, Root: t.TempDir(), sockets: fakeSockets{}, pause: time.Millisecond}
	h.owner = func(string) (int, int, error) { return os.Getuid(), os.Getgid(), nil }
	return h, tools
}

func testObject(device string) Object {
	return Object{
		FSID: testFSID, Conf: "[global]\nfsid = " + testFSID + "\nmon host = 10.0.0.1\n",
		Keyrings: map[string]string{"ceph.client.admin.keyring": "[client.admin]\nkey = " + testKey + "\n"},
		Roles:    []string{RoleMon, RoleMgr, RoleOSD}, Name: "node1",
		Mon: &Mon{
			Addresses: "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", Keyring: "[mon.]\nkey = " + testKey + "\n",
		},
		MgrKeyring: "[mgr.node1]\nkey = " + testKey + "\n",
		OSDs: []OSD{
			{ID: 3, UUID: testUUID, Device: device, Backend: BackendFile, SizeBytes: 1 << 30, Secret: testKey},
		},
	}
}

// requireCephUser skips a test that gives files to Ceph.
func requireCephUser(t *testing.T) {
	t.Helper()
	_, err := user.Lookup(cephUser)
	if err == nil && os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root and the user ceph, and CI=true")
	}
	t.Skip("needs root and the user ceph")
}

// tree says what is in a folder: names, modes and contents.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		found[name] = describeFile(path, info)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func describeFile(path string, info os.FileInfo) string {
	switch {
	case info.IsDir():
		return info.Mode().String()
	case info.Mode()&os.ModeSymlink != 0:
		target, _ := os.Readlink(path)
		return "link to " + target
	case info.Size() > 1<<20:
		return fmt.Sprintf("%s, %d bytes", info.Mode(), info.Size())
	}
	content, _ := os.ReadFile(path)
	return info.Mode().String() + " " + strconv.Quote(string(content))
}

var errBroken = errors.New("broken")

// probingMon is let into the quorum after a number of answers.
type probingMon struct{ left int }

func (p *probingMon) Call(
	ctx context.Context, path string, cmd adminsocket.Command, buf []byte,
) (adminsocket.Reply, error) {
	if p.left == 0 {
		return fakeSockets{}.Call(ctx, path, cmd, buf)
	}
	p.left--
	return adminsocket.Reply{Data: []byte(`{"state":"probing","monmap":{"fsid":"` + testFSID + `"}}`)}, nil
}

// silent are daemons that do not answer.
type silent struct{}

func (silent) Call(context.Context, string, adminsocket.Command, []byte) (adminsocket.Reply, error) {
	return adminsocket.Reply{}, errBroken
}

// busyTools find the device locked a few times.
type busyTools struct{ left int }

func (b *busyTools) Run(context.Context, []byte, ...string) ([]byte, error) {
	if b.left == 0 {
		return nil, nil
	}
	b.left--
	return nil, exitError{250, "mkfs failed, (11) Resource temporarily unavailable"}
}
