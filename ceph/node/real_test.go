package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// realTools runs programs of this machine, all but systemd's.
type realTools struct{ ran []string }

func (r *realTools) Run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	r.ran = append(r.ran, strings.Join(argv, " "))
	if argv[0] == "systemctl" || argv[0] == "journalctl" {
		return nil, nil
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return out, exitError{ended.ExitCode(), fmt.Sprintf("%s: %v: %s", argv[0], err, stderr.String())}
	}
	return out, err
}

// realHost is a host in a folder, on which real tools of this machine are run.
func realHost(t *testing.T, programs ...string) (*Host, *realTools) {
	t.Helper()
	requireCephUser(t)
	lab.Require(t, programs...)
	root, err := os.MkdirTemp("", "node")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	// Ceph must come to its files.
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	tools := &realTools{}
	return &Host{Runner: tools, Root: root, sockets: fakeSockets{}, pause: 100 * time.Millisecond}, tools
}

// loopDevice returns a block device of this size, with nothing on it.
func loopDevice(t *testing.T, size int64) string {
	t.Helper()
	lab.Require(t, "losetup")
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no loop devices, and CI=true: %v", err)
		}
		t.Skipf("no loop devices: %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		_ = os.Chown(device, 0, 0)
		_ = exec.Command("losetup", "--detach", device).Run()
	})
	return device
}

func must(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

func TestObserveDevice(t *testing.T) {
	h, _ := realHost(t, "wipefs", "mkfs.ext4", "mkswap", "sgdisk", "mount")
	write(t, h.layout().pvs(), "")
	device := loopDevice(t, 64<<20)
	see := func(want string) {
		t.Helper()
		facts, err := h.Observe(t.Context(), Query{Devices: []string{device}, Backend: BackendRaw})
		if err != nil {
			t.Fatal(err)
		}
		got := facts.Devices[0]
		if got.Content != want || got.Pristine != (want == "") || !got.Exists || got.SizeBytes != 64<<20 {
			t.Errorf("want %q, got %+v (problems %v)", want, got, facts.Problems)
		}
	}
	see("")
	must(t, "mkfs.ext4", "-q", device)
	see("ext4 file system")

	folder := t.TempDir()
	must(t, "mount", device, folder)
	see("mounted on " + folder)
	must(t, "umount", folder)
	must(t, "wipefs", "-qa", device)

	must(t, "sgdisk", "--new=1:0:+8M", device)
	see("gpt partition table, PMBR partition table")
	must(t, "wipefs", "-qa", device)

	must(t, "mkswap", "-q", device)
	see("swap space")
	must(t, "swapon", device)
	defer func() { _ = exec.Command("swapoff", device).Run() }()
	see("used as swap")
	must(t, "swapoff", device)
	must(t, "wipefs", "-qa", device)

	file, err := os.OpenFile(device, os.O_RDONLY|syscall.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	see("in use: open " + device + ": device or resource busy")
	file.Close()

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	if got, err := h.inspect(t.Context(), link); err != nil || !got.Pristine || got.Path != link {
		t.Errorf("through a link: %+v, %v", got, err)
	}
	see("")
}

// TestObserveDriveWithoutDisk takes a device without a medium for what it is.
func TestObserveDriveWithoutDisk(t *testing.T) {
	h, _ := realHost(t)
	facts, err := h.inspect(t.Context(), loopDevice(t, 0))
	if err != nil || facts.Pristine || facts.Content != "a drive without a disk: its size is 0" {
		t.Errorf("got %+v, %v", facts, err)
	}
}

// What was made of a device up to any point is known as ours, goes on, and is removed. A volume needs a kernel that has
// them: see the tests on nodes.
func TestObserveVolumeGroup(t *testing.T) {
	h, tools := realHost(t, "wipefs", "vgcreate", "pvs")
	write(t, h.layout().pvs(), "")
	device := loopDevice(t, 64<<20)
	osd := OSD{ID: 3, UUID: testUUID, Device: device, Backend: BackendLVM, Secret: testKey}
	t.Cleanup(func() { _ = exec.Command("vgremove", "--yes", osd.volumeGroup()).Run() })
	see := func(want DeviceFacts) {
		t.Helper()
		want.Path, want.Stable, want.Exists, want.SizeBytes = device, device, true, 64<<20
		got, err := h.inspect(t.Context(), device)
		if err != nil {
			t.Fatal(err)
		}
		check(t, want, got)
	}
	for made, want := range []DeviceFacts{
		{Pristine: true},
		{
			OSD:     &DeviceOSD{ID: -1, UUID: testUUID},
			Content: "an OSD, half made in LVM physical volume", Wipe: "pvremove " + device,
		},
		{
			OSD:     &DeviceOSD{ID: 3, UUID: testUUID, FSID: testFSID},
			Content: "osd.3 of cluster " + testFSID + ", half made in volume group " + osd.volumeGroup(),
			Wipe:    "vgremove " + osd.volumeGroup() + " && pvremove " + device,
		},
	} {
		for upTo := range made + 1 {
			if err := h.carryOut(t.Context(), volumeStages(testFSID, osd)[:upTo], nil); err != nil {
				t.Fatal(err)
			}
		}
		see(want)
		if err := (removeVolume{osd: osd, fsid: testFSID}).do(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		see(DeviceFacts{Pristine: true})
	}
	made := func(line string) bool { return strings.HasPrefix(line, "pvcreate ") }
	if count := len(slices.DeleteFunc(slices.Clone(tools.ran), func(line string) bool { return !made(line) })); count != 2 {
		t.Errorf("the physical volume was made %d times, want once for each group: %q", count, tools.ran)
	}

	must(t, "vgcreate", "--yes", "lab-foreign", device)
	t.Cleanup(func() { _ = exec.Command("vgremove", "--yes", "lab-foreign").Run() })
	see(DeviceFacts{Content: "volume group lab-foreign", Wipe: "vgremove lab-foreign && pvremove " + device})
	if err := (removeVolume{osd: osd, fsid: testFSID}).do(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	see(DeviceFacts{Content: "volume group lab-foreign", Wipe: "vgremove lab-foreign && pvremove " + device})
	wantError(t, (claim{device: device, osd: osd, fsid: testFSID}).do(t.Context(), h), "is not empty: volume group lab-foreign")
}

func TestRealMon(t *testing.T) {
	h, _ := realHost(t, "ceph-mon", "monmaptool")
	for name, monmap := range map[string][]byte{"first": nil, "joining": makeMonmap(t)} {
		obj := testObject("")
		obj.Roles, obj.OSDs, obj.Name = []string{RoleMon}, nil, name
		obj.Mon.Monmap = monmap
		obj.Mon.Keyring = "[mon.]\n\tkey = " + testKey + "\n\tcaps mon = \"allow *\"\n"
		for range 2 {
			if err := h.Init(t.Context(), obj, nil); err != nil {
				t.Fatal(err)
			}
		}
		if !isMadeMon(h.layout().data(Daemon{RoleMon, name})) {
			t.Error("the mon is not made")
		}
		if exists(h.layout().scratch(Daemon{RoleMon, name})) {
			t.Error("the secrets are still there")
		}
	}
	// A mon that was left in the middle is made anew.
	obj := testObject("")
	obj.Roles, obj.OSDs, obj.Name = []string{RoleMon}, nil, "half"
	write(t, h.layout().data(Daemon{RoleMon, "half"})+".new/store.db/CURRENT", "nonsense")
	if err := h.Init(t.Context(), obj, nil); err != nil {
		t.Error(err)
	}
}

// makeMonmap returns the map of a cluster with one mon.
func makeMonmap(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "monmap")
	must(t, "monmaptool", "--create", "--fsid", testFSID, "--addv", "node1", "[v2:10.0.0.9:3300,v1:10.0.0.9:6789]", path)
	monmap, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return monmap
}

func osdObject(osd OSD) Object {
	obj := testObject("")
	osd.ID, osd.UUID, osd.Secret = 3, testUUID, testKey
	obj.Roles, obj.OSDs = []string{RoleOSD}, []OSD{osd}
	return obj
}

func TestRealFileOSD(t *testing.T) {
	h, tools := realHost(t, "ceph-osd", "ceph-bluestore-tool", "wipefs")
	device := h.Root + "/osd-3"
	obj := osdObject(OSD{Device: device, Backend: BackendFile, SizeBytes: 2 << 30})
	// What is left of a mkfs that was killed is done again.
	killMkfs(t, h, bringUp(h.layout(), obj), obj.OSDs[0])
	facts, err := h.Observe(t.Context(), Query{Devices: []string{device}, Backend: BackendFile})
	if err != nil {
		t.Fatal(err)
	}
	if on := facts.Devices[0].OSD; on == nil || on.Complete || on.UUID != testUUID {
		t.Errorf("half made: %+v", facts.Devices[0])
	}
	for range 2 {
		if err := h.Init(t.Context(), obj, nil); err != nil {
			t.Fatal(err)
		}
	}
	if mkfs := slices.IndexFunc(tools.ran, isMkfs); mkfs < 0 || slices.IndexFunc(tools.ran[mkfs+1:], isMkfs) >= 0 {
		t.Errorf("want one mkfs, got %q", tools.ran)
	}
	keyring, err := os.ReadFile(h.layout().data(Daemon{RoleOSD, "3"}) + "/keyring")
	if err != nil || !strings.Contains(string(keyring), testKey) {
		t.Errorf("the keyring lacks the key: %v", err)
	}
	facts, _ = h.Observe(t.Context(), Query{})
	want := DaemonFacts{
		Daemon: Daemon{RoleOSD, "3"}, Data: true, FSID: testFSID, UUID: testUUID, Device: device, Backend: BackendFile,
	}
	check(t, []DaemonFacts{want}, facts.Daemons)

	removal := Removal{FSID: testFSID, Daemons: []Daemon{{RoleOSD, "3"}}, Data: true, Everything: true}
	for range 2 {
		if err := h.Remove(t.Context(), removal, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{device, h.layout().data(Daemon{RoleOSD, "3"}), h.layout().conf()} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
}

func isMkfs(line string) bool { return strings.HasPrefix(line, "ceph-osd ") }

// killMkfs carries out stages up to the mkfs, and kills that as soon as the label is there. One that is done before, as the
// machine is too busy to look in time, is undone, and there is another.
func killMkfs(t *testing.T, h *Host, stages []stage, osd OSD) {
	t.Helper()
	for range 50 {
		if killOneMkfs(t, h, stages, osd) {
			return
		}
		if osd.Backend == BackendFile {
			if err := os.Remove(osd.Device); err != nil {
				t.Fatal(err)
			}
		} else if err := (wipe{device: osd.Device, osd: osd, fsid: testFSID}).do(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("every mkfs was done before it could be killed")
}

// killOneMkfs tells whether a mkfs was broken off.
func killOneMkfs(t *testing.T, h *Host, stages []stage, osd OSD) bool {
	t.Helper()
	for _, s := range stages {
		for _, o := range s.operations {
			if c, ok := o.(command); ok && c.argv[0] == "ceph-osd" {
				return killWithLabel(t, c, osd)
			}
			if err := o.do(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("there is no mkfs")
	return false
}

func killWithLabel(t *testing.T, c command, osd OSD) (brokenOff bool) {
	t.Helper()
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Stdin = bytes.NewReader(c.stdin)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if _, err := readLabel(osd.Device); err == nil {
			break
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("mkfs ended by itself: %v", err)
			}
			return false
		case <-time.After(time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	found, err := readLabel(osd.Device)
	if err != nil {
		t.Fatalf("label of a mkfs that was killed: %v", err)
	}
	return !found.osd().Complete
}

func TestRealRawOSD(t *testing.T) {
	h, _ := realHost(t, "ceph-osd", "ceph-bluestore-tool", "wipefs")
	device := loopDevice(t, 2<<30)
	osd := osdObject(OSD{Device: device, Backend: BackendRaw}).OSDs[0]
	made := mkfsStage(h.layout(), testFSID, osd, claim{device: device, osd: osd, fsid: testFSID})
	makeIt := func() error { return h.carryOut(t.Context(), []stage{made}, nil) }
	killMkfs(t, h, []stage{made}, osd)
	if err := makeIt(); err != nil {
		t.Fatal(err)
	}
	facts, err := h.inspect(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	check(t, &DeviceOSD{ID: 3, UUID: testUUID, FSID: testFSID, Complete: true}, facts.OSD)
	if err := makeIt(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	other := osd
	other.UUID = testFSID
	wantError(t, (claim{device: device, osd: other, fsid: testFSID}).do(t.Context(), h), "holds another OSD")
	wantError(t, (wipe{device: device, osd: other, fsid: testFSID}).do(t.Context(), h), "holds another OSD")
	wantError(t, (wipe{device: device, osd: osd, fsid: testUUID}).do(t.Context(), h), "another cluster")
	if exists(h.layout().scratch(osd.daemon())) {
		t.Error("the secret is still there")
	}
	running, err := tryOpenAlone(device)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, (wipe{device: device, osd: osd, fsid: testFSID}).do(t.Context(), h), "busy")
	running.Close()
	for range 2 {
		if err := (wipe{device: device, osd: osd, fsid: testFSID}).do(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if facts, err = h.inspect(t.Context(), device); err != nil || !facts.Pristine {
		t.Errorf("after wiping: %+v, %v", facts, err)
	}
}

// A device that somebody has locked, as udev does for moments, is waited for.
func TestRealMkfsWaitsForLock(t *testing.T) {
	h, tools := realHost(t, "ceph-osd")
	device := h.Root + "/osd-3"
	osd := osdObject(OSD{Device: device, Backend: BackendFile, SizeBytes: 2 << 30}).OSDs[0]
	made := mkfsStage(h.layout(), testFSID, osd, createFileDevice{osd: osd, fsid: testFSID})
	locked := &lockingTools{realTools: tools, device: device}
	h.Runner = locked
	if err := h.carryOut(t.Context(), []stage{made}, nil); err != nil {
		t.Fatal(err)
	}
	if locked.runs < 2 {
		t.Errorf("mkfs did not mind the lock: %d runs", locked.runs)
	}
}

// lockingTools hold the device's lock while mkfs is run the first time.
type lockingTools struct {
	*realTools
	device string
	held   *os.File
	runs   int
}

func (l *lockingTools) Run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	if argv[0] != "ceph-osd" {
		return l.realTools.Run(ctx, stdin, argv...)
	}
	l.runs++
	if l.runs == 1 {
		var err error
		if l.held, err = tryOpenAlone(l.device); err != nil {
			return nil, err
		}
	}
	out, err := l.realTools.Run(ctx, stdin, argv...)
	if l.runs == 1 {
		l.held.Close()
	}
	return out, err
}
