package kvm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// command runs commands as cephctl's runner does.
type command struct{}

// failed is the error of a command.
type failed struct {
	error
	stderr string
}

func (f failed) Said() string  { return f.stderr }
func (f failed) Unwrap() error { return f.error }

func (command) Run(ctx context.Context, _ []byte, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, failed{err, strings.TrimSpace(stderr.String())}
	}
	return out, nil
}

// newHost returns this host with guests in a folder whose name is short: there are sockets in it.
func newHost(t *testing.T) *kvm.Host {
	t.Helper()
	if _, err := exec.LookPath(kvm.Program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and CI=true: run e2e/setup.sh", kvm.Program)
		}
		t.Skipf("%s is not installed: run e2e/setup.sh", kvm.Program)
	}
	dir, err := os.MkdirTemp("", "kvm")
	if err != nil {
		t.Fatal(err)
	}
	h := kvm.NewHost(command{}, kvm.Dir(dir))
	t.Cleanup(func() {
		for _, name := range []string{"inst1.lab", "inst2.lab"} {
			_, _ = h.Stop(context.WithoutCancel(t.Context()), name, 0, func(string) {})
		}
		os.RemoveAll(dir)
	})
	return h
}

// nullConfig is a guest with a disk of QEMU's own that needs nothing else.
func nullConfig(blockdev string) *kvm.Config {
	return &kvm.Config{
		Instance: "inst1.lab", UUID: "0c3e1d52-6a0e-4c9e-9a57-3f2d1b8a7c11", MemoryMiB: 32, VCPUs: 1,
		Drives: []kvm.Drive{{
			UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53", SizeMiB: 1, Path: "null", Blockdev: json.RawMessage(blockdev),
			Driver: "null-co", Cache: "none", Discard: true,
			Origin: map[string]json.RawMessage{"dev_type": json.RawMessage(`"shelf"`)},
		}},
	}
}

const nullDisk = `{"driver":"null-co","size":1048576,"read-zeroes":true}`

func TestStart(t *testing.T) {
	h := newHost(t)
	c := nullConfig(nullDisk)
	c.NICs = []kvm.NIC{{UUID: "e7dd9d01-afb4-4edb-8259-7782fc1e4cb4", Mode: kvm.ModeUser, MAC: "52:54:00:00:00:01"}}
	status, err := h.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if status.State != "running" || len(status.Drives) != 1 || status.Drives[0].Driver != "null-co" || status.Drives[0].Size != 1<<20 {
		t.Errorf("status %+v", status)
	}
	guests, err := kvm.NewFinder("/proc", h.Dir).Find()
	if err != nil || len(guests) != 1 || guests[0].Process.PID != status.PID {
		t.Errorf("found %v, %v", guests, err)
	}
	if lives, err := h.Lives(c.UUID); !lives || err != nil {
		t.Errorf("the guest lives: %t, %v", lives, err)
	}
	data, err := os.ReadFile(h.Dir.RuntimeFile(c.Instance))
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := kvm.ParseRuntime(data)
	if err != nil {
		t.Fatal(err)
	}
	want := &kvm.Runtime{DiskCache: "none", DiskDiscard: "unmap", Disks: []kvm.Disk{{
		UUID: c.Drives[0].UUID, Size: 1, Template: "shelf", DeviceID: "disk-f42e5100-476a-4674", URI: "null",
	}}}
	if diff := cmp.Diff(want, runtime); diff != "" {
		t.Errorf("runtime file (-want +got):\n%s", diff)
	}
	if _, err := h.Start(t.Context(), c); !errors.Is(err, kvm.ErrRunning) {
		t.Errorf("a second start: %v", err)
	}
	if _, err := h.Status(t.Context(), c.Instance); err != nil {
		t.Errorf("the second start has done harm: %v", err)
	}
	// This guest does not listen to ACPI.
	how, err := h.Stop(t.Context(), c.Instance, 100*time.Millisecond, func(string) {})
	if how != kvm.StopQuit || err != nil {
		t.Errorf("stopped by %q, %v", how, err)
	}
	nothingLeft(t, h, c.UUID)
	if how, err := h.Stop(t.Context(), c.Instance, time.Minute, func(string) {}); how != kvm.StopNone || err != nil {
		t.Errorf("stopped again by %q, %v", how, err)
	}
	if _, err := h.Status(t.Context(), c.Instance); !errors.Is(err, kvm.ErrNotRunning) {
		t.Errorf("status of a stopped guest: %v", err)
	}
}

// slow is a node on which a new QEMU does not get to answer for a while.
type slow struct {
	command
	dir   kvm.Dir
	pause time.Duration
}

func (s slow) Run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	out, err := s.command.Run(ctx, stdin, argv...)
	if err != nil {
		return out, err
	}
	g, _, err := s.dir.Guest("/proc", "inst1.lab")
	if err != nil {
		return out, err
	}
	time.AfterFunc(s.pause, func() { _ = syscall.Kill(g.Process.PID, syscall.SIGCONT) })
	return out, syscall.Kill(g.Process.PID, syscall.SIGSTOP)
}

// A new guest that answers later than a monitor may be held is waited for.
func TestStartSlow(t *testing.T) {
	h := newHost(t)
	h.Runner = slow{dir: h.Dir, pause: kvm.MaxHold + time.Second}
	status, err := h.Start(t.Context(), nullConfig(nullDisk))
	if err != nil {
		t.Fatal(err)
	}
	if status.State != "running" {
		t.Errorf("status %+v", status)
	}
}

// Whatever keeps a guest from starting, nothing of it is left, and QEMU's own words are told.
func TestStartFails(t *testing.T) {
	silent := filepath.Join(t.TempDir(), "silent")
	listener, err := net.Listen("unix", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, test := range []struct {
		name, blockdev string
		change         func(*kvm.Config)
		hangs          bool
		want           string
	}{
		{name: "no such disk", blockdev: `{"driver":"file","filename":"/no/such/file"}`, want: "/no/such/file"},
		{name: "no such driver", blockdev: `{"driver":"shelf"}`, want: "shelf"},
		{name: "another driver", blockdev: `{"driver":"null-aio","size":1048576}`, want: `through "null-aio", not "null-co"`},
		{name: "too much memory", blockdev: nullDisk, change: func(c *kvm.Config) { c.MemoryMiB = 1 << 40 }, want: "memory"},
		{name: "a long name", blockdev: nullDisk, change: func(c *kvm.Config) { c.Instance = strings.Repeat("x", 100) }, want: "too long"},
		{name: "a storage that hangs", blockdev: `{"driver":"nbd","server":{"type":"unix","path":"` + silent + `"}}`, hangs: true, want: "not started in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			c := nullConfig(test.blockdev)
			if test.change != nil {
				test.change(c)
			}
			ctx := t.Context()
			if test.hangs {
				var cancel func()
				ctx, cancel = context.WithTimeoutCause(ctx, 3*time.Second, errors.New("not started in time"))
				defer cancel()
			}
			_, err := h.Start(ctx, c)
			if err == nil || !strings.Contains(err.Error(), test.want) && (!test.hangs || !strings.Contains(err.Error(), "killed")) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			nothingLeft(t, h, c.UUID)
		})
	}
}

// nothingLeft wants neither a process nor a file but for empty folders.
func nothingLeft(t *testing.T, h *kvm.Host, uuid string) {
	t.Helper()
	if lives, err := h.Lives(uuid); lives || err != nil {
		t.Errorf("QEMU still lives: %t, %v", lives, err)
	}
	files, err := filepath.Glob(string(h.Dir) + "/*/*")
	if err != nil || len(files) > 0 {
		t.Errorf("there are still %v, %v", files, err)
	}
}

func TestCommandLine(t *testing.T) {
	c := nullConfig(nullDisk)
	c.Drives[0].Cache, c.Drives[0].Discard = "writethrough", false
	c.NICs = []kvm.NIC{{UUID: "e7dd9d01-afb4-4edb-8259-7782fc1e4cb4", Mode: kvm.ModeBridged, MAC: "52:54:00:00:00:01", Bridge: "br0"}}
	got, err := kvm.Dir("/run/a,b/kvm").CommandLine(c, "kvm", "tcg")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"qemu-system-x86_64", "-name", "guest=inst1.lab", "-uuid", c.UUID, "-m", "32", "-smp", "1",
		"-pidfile", "/run/a,b/kvm/pid/inst1.lab", "-daemonize", "-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none",
		"-monitor", "unix:/run/a,,b/kvm/ctrl/inst1.lab.monitor,server=on,wait=off",
		"-qmp", "unix:/run/a,,b/kvm/ctrl/inst1.lab.qmp,server=on,wait=off",
		"-qmp", "unix:/run/a,,b/kvm/ctrl/inst1.lab.kvmd,server=on,wait=off",
		"-serial", "unix:/run/a,,b/kvm/ctrl/inst1.lab.serial,server=on,wait=off",
		"-device", "virtio-balloon", "-accel", "kvm", "-accel", "tcg",
		"-blockdev", `{"driver":"raw","node-name":"disk-f42e5100-476a-4674","discard":"ignore","cache":{"direct":false,"no-flush":false},"file":` + nullDisk + `}`,
		"-device", "virtio-blk-pci,drive=disk-f42e5100-476a-4674,id=disk-f42e5100-476a-4674,bootindex=0,write-cache=off",
		"-netdev", "tap,id=nic-e7dd9d01-afb4-4edb,ifname=tap-e7dd9d01,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=nic-e7dd9d01-afb4-4edb,id=nic-e7dd9d01-afb4-4edb,mac=52:54:00:00:00:01",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("command line (-want +got):\n%s", diff)
	}
}

// TestWords holds what starts guests to knowing no storage type: a disk is passed on as it was given.
func TestWords(t *testing.T) {
	for _, name := range []string{"config", "commandline", "host", "runtime_write", "start", "stop"} {
		text, err := os.ReadFile(name + ".go")
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"ceph", "rbd", "rados"} {
			if strings.Contains(strings.ToLower(string(text)), word) {
				t.Errorf("%s.go says %s", name, word)
			}
		}
	}
}

// TestBridge puts a guest on a real bridge. What the guest had of it ends with it.
func TestBridge(t *testing.T) {
	h := newHost(t)
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("bridges need root, and CI=true")
		}
		t.Skip("bridges need root")
	}
	bridge := fmt.Sprintf("brkvm%d", os.Getpid()) // one that a killed run has left is in nobody's way
	ip := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	ip("link", "add", bridge, "type", "bridge")
	defer ip("link", "delete", bridge)
	c := nullConfig(nullDisk)
	c.NICs = []kvm.NIC{{UUID: "e7dd9d01-afb4-4edb-8259-7782fc1e4cb4", Mode: kvm.ModeBridged, MAC: "52:54:00:00:00:01", Bridge: bridge}}
	if _, err := h.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if out := ip("link", "show", "master", bridge); !strings.Contains(out, "tap-e7dd9d01") || !strings.Contains(out, "UP") {
		t.Errorf("on the bridge there is %s", out)
	}
	if _, err := h.Stop(t.Context(), c.Instance, 0, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if out := ip("link", "show", "master", bridge); out != "" {
		t.Errorf("on the bridge there is still %s", out)
	}
	c.NICs[0].Bridge = "nobr0"
	if _, err := h.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "nobr0") {
		t.Errorf("start without a bridge: %v", err)
	}
	nothingLeft(t, h, c.UUID)
}
