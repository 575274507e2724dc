package capture

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm/qmptest"
)

var (
	_ SocketCaller  = (*adminsocket.Client)(nil)
	_ SocketCaller  = fakeSockets(nil)
	_ ClusterRunner = (*rados.Conn)(nil)
	_ ClusterRunner = fakeCluster(nil)
)

// fakeSockets answers by the name of the socket file; what is nil has died.
type fakeSockets map[string]map[string]string

func (f fakeSockets) Call(_ context.Context, path string, cmd adminsocket.Command, _ []byte) (adminsocket.Reply, error) {
	answers := f[filepath.Base(path)]
	if answers == nil {
		return adminsocket.Reply{}, syscall.ECONNREFUSED
	}
	answer, ok := answers[cmd.String()]
	if !ok {
		return adminsocket.Reply{}, adminsocket.ErrRefused
	}
	return adminsocket.Reply{Data: []byte(answer)}, nil
}

// fakeCluster answers by command, and with an error when there is no answer.
type fakeCluster map[string]string

func (f fakeCluster) Run(_ context.Context, cmd rados.Command) ([]byte, error) {
	if answer, ok := f[cmd.String()]; ok {
		return []byte(answer), nil
	}
	return nil, errors.New("no answer from 10.9.8.7")
}

// node returns the options for a node with the given sockets and nothing else.
func node(t *testing.T, sockets fakeSockets) Options {
	t.Helper()
	run, procfs := t.TempDir(), t.TempDir()
	for name := range sockets {
		l, err := net.Listen("unix", filepath.Join(run, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	if err := os.Mkdir(filepath.Join(procfs, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(procfs, "net/unix"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return Options{
		CephRun: run, CephConfig: run + "/none", GanetiRun: run, CephctlRun: run, Procfs: procfs, Sysfs: run,
		Timeout: time.Minute, Now: time.Unix(0, 0), Sockets: sockets, Redact: true,
	}
}

func TestWriteWhatAnswers(t *testing.T) {
	opts := node(t, fakeSockets{
		"ceph-osd.3.asok": {
			"version":   `{"version":"18.2.7","release":"reef"}`,
			"perf dump": `{"osd":{"addr":"10.1.1.1","n":1}}`,
		},
		"ceph-osd.4.asok":           nil,
		"ceph-client.x.1.2.asok":    nil,
		"ceph-mon.node1.prod.asok":  {"version": `{"version":"18.2.7"}`, "mon_status": `{"hostname":"node1.prod"}`},
		"ceph-mgr.unreadable.asok_": nil,
	})
	dir := filepath.Join(t.TempDir(), "case")
	m, err := Write(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ceph/18.2/mon.host1.example.net/mon_status.json", "ceph/18.2/mon.host1.example.net/version.json",
		"ceph/18.2/osd.3/perf_dump.json", "ceph/18.2/osd.3/version.json", "manifest.json",
	}
	if diff := cmp.Diff(want, written(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Failure{{What: "daemon osd.4", Why: "connection refused"}}, m.Failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if got, want := read(t, dir, "ceph/18.2/osd.3/perf_dump.json"), `{"osd":{"addr":"192.0.2.1","n":1}}`; got != want {
		t.Errorf("dump %s, want %s", got, want)
	}
	var onDisk Manifest
	if err := json.Unmarshal([]byte(read(t, dir, "manifest.json")), &onDisk); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*m, onDisk); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestWriteAsItIs(t *testing.T) {
	opts := node(t, fakeSockets{"ceph-osd.3.asok": {"version": `{"version":"16.2.15","addr":"10.1.1.1"}`}})
	opts.Redact = false
	dir := t.TempDir()
	if _, err := Write(t.Context(), dir, opts); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, dir, "ceph/16.2/osd.3/version.json"), `{"version":"16.2.15","addr":"10.1.1.1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Ganeti says which release it is in the folder that the settings name, and the runtime files are kept by it.
func TestRuntimeOfGanetiRelease(t *testing.T) {
	dir, state := kvm.GanetiDir(t.TempDir()), t.TempDir()
	path := dir.RuntimeFile("web1")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{path: "[]", filepath.Join(state, "ssconf_release_version"): "3.0.2\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tk := &take{opts: Options{GanetiState: state}, versions: make(map[string]string)}
	tk.runtime(kvm.Guest{Instance: "web1", Dir: dir})
	if got := tk.versions["ganeti"]; got != "3.0.2" || len(tk.files) != 1 || tk.files[0].path != "ganeti/3.0/web1.runtime" {
		t.Errorf("release %q, files %v, want 3.0.2 and ganeti/3.0/web1.runtime", got, tk.files)
	}
}

// What a guest says is kept as it said it: the greeting, too, is what the parsers of greetings read.
func TestGuestAsItAnswers(t *testing.T) {
	root, err := os.MkdirTemp("", "c") // short, for the name of the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	guest := kvm.Guest{Instance: "web1", Dir: kvm.Dir(root)}
	path := guest.Dir.Monitors("web1")[0]
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	want, answers := map[string]string{"qemu/7.2/web1/greeting.json": qmptest.Greeting}, make(map[string]string)
	for _, q := range kvm.Queries() {
		answers[q.String()] = `{"return": {"of": "` + q.String() + `"}}`
		want["qemu/7.2/web1/"+q.String()+".json"] = answers[q.String()]
	}
	qmptest.Start(t, path, answers)
	tk := &take{opts: Options{Timeout: time.Minute}, versions: make(map[string]string)}
	if err := tk.guest(t.Context(), kvm.NewSockets("/proc"), guest); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range tk.files {
		got[f.path] = f.content
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Mons that answer are captured although no mgr does, and the mgr is not asked for ever.
func TestWriteWithoutMgr(t *testing.T) {
	opts := node(t, nil)
	opts.CephConfig = opts.Procfs + "/net/unix" // anything that exists
	answers := fakeCluster{}
	for _, cmd := range rados.Commands() {
		if cmd.Server() == rados.Mon {
			answers[cmd.String()] = `{}`
		}
	}
	opts.Cluster = answers
	opts.Perf = true
	m, err := Write(t.Context(), t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != len(answers) || len(m.Failed) != enough {
		t.Errorf("%d files and %d failures, want %d and %d", len(m.Files), len(m.Failed), len(answers), enough)
	}
	for _, f := range m.Failed {
		if f.Why != "no answer from 192.0.2.1" {
			t.Errorf("reason %q is not redacted", f.Why)
		}
	}
}

// The I/O of images makes the mgr install something, so it is asked only when wanted.
func TestWritePerf(t *testing.T) {
	answers := fakeCluster{}
	for _, cmd := range rados.Commands() {
		answers[cmd.String()] = `{}`
	}
	for perf, want := range map[bool]int{true: len(rados.Commands()), false: len(rados.Commands()) - 1} {
		opts := node(t, nil)
		opts.CephConfig = opts.Procfs + "/net/unix" // anything that exists
		opts.Cluster, opts.Perf = answers, perf
		dir := t.TempDir()
		m, err := Write(t.Context(), dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(dir, "ceph/unknown/cluster/rbd_perf_image_counters.json"))
		if len(m.Files) != want || (err == nil) != perf {
			t.Errorf("with Perf %v: %d files, want %d; error %v for the counters", perf, len(m.Files), want, err)
		}
	}
}

func TestClusterFilesDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for _, cmd := range rados.Commands() {
		name := clusterFile(cmd)
		if seen[name] {
			t.Errorf("two commands are written to %s", name)
		}
		seen[name] = true
	}
}

func TestWriteNothing(t *testing.T) {
	if _, err := Write(t.Context(), t.TempDir(), node(t, nil)); !errors.Is(err, ErrNothing) {
		t.Errorf("error %v, want ErrNothing", err)
	}
}

func TestWriteIntoDirectoryInUse(t *testing.T) {
	opts := node(t, nil)
	if _, err := Write(t.Context(), opts.Procfs, opts); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("error %v, want that it is not empty", err)
	}
}

func TestRelease(t *testing.T) {
	for version, want := range map[string]string{
		"16.2.15": "16.2", "6.1.0-18-amd64": "6.1", "3.1.0~rc2\n": "3.1", "6.12-rc1": "6.12", "": "unknown", "x": "unknown",
	} {
		if got := release(version); got != want {
			t.Errorf("release(%q) = %q, want %q", version, got, want)
		}
	}
}

// written lists the files below dir.
func written(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
