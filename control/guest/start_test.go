package guest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

func (s *shelf) Preview(control.DiskSpec) (control.OpenDisk, []string) {
	return control.OpenDisk{Path: "shelf:i", Cache: "none"}, []string{"claim i"}
}

func (s *shelf) Open(_ context.Context, d control.DiskSpec) (control.OpenDisk, error) {
	s.log = append(s.log, "open")
	open := control.OpenDisk{Path: "shelf:i", Blockdev: json.RawMessage(`{"driver":"shelf"}`), Driver: "shelf", Cache: "none"}
	if d.Map {
		open.Mapped = "/dev/shelf0"
	}
	return open, nil
}

func (s *shelf) Close(context.Context, control.DiskSpec) error {
	s.log = append(s.log, "close")
	return s.closes
}

// A start that fails gives back what it has taken, in reverse, and says what QEMU has said.
func TestStartIsUndone(t *testing.T) {
	for _, test := range []struct {
		name   string
		mapped bool
		state  control.ImageState
		qemu   controltest.Answer
		memory string
		want   string
		log    []string
		closes error
		held   bool
		uuid   string
	}{
		{
			name: "QEMU does not start", qemu: controltest.Answer{Code: 1, Stderr: "Unknown driver 'shelf'"}, want: "Unknown driver 'shelf'",
			log: []string{"claim", "open", "release"},
		},
		{
			name: "with a block device", mapped: true, qemu: controltest.Answer{Code: 1, Stderr: "Unknown driver 'shelf'"}, want: "Unknown driver 'shelf'",
			log: []string{"claim", "open", "close", "release"},
		},
		{
			name: "with a block device that stays", mapped: true, closes: errors.New("device is busy"),
			qemu: controltest.Answer{Code: 1, Stderr: "Unknown driver 'shelf'"}, want: "device is busy", log: []string{"claim", "open", "close"},
		},
		{
			name: "a block device was there", state: control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k"}, qemu: controltest.Answer{Code: 1, Stderr: "Unknown driver 'shelf'"}, want: "Unknown driver 'shelf'",
			log: []string{"close", "claim", "open", "release"},
		},
		{
			name: "a block device is there that somebody has open", state: control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k", Claim: claimOf(t, func(c *control.Claim) { c.UUID, c.Devices = "u", true })},
			closes: errors.New("device is busy"), want: "device is busy", log: []string{"close"},
		},
		{
			name: "the block device of a guest that lives", state: control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k", Claim: claimOf(t, func(c *control.Claim) { c.UUID = "alive" })},
			want: "is claimed by instance web9", held: true,
		},
		{
			name: "QEMU tells a secret", qemu: controltest.Answer{Code: 1, Stderr: "malformed key sesame"}, want: "malformed key (key)",
			log: []string{"claim", "open", "release"},
		},
		{name: "QEMU says nothing and is not there", want: "is not running", log: []string{"claim", "open", "release"}},
		{
			name: "QEMU does not end", uuid: "alive", qemu: controltest.Answer{Code: 1, Stderr: "Unknown driver 'shelf'"}, want: "QEMU has not ended, and keeps the claims",
			log: []string{"claim", "open"}, held: true,
		},
		{name: "no memory", memory: "MemAvailable: 1024 kB\n", want: "has 1 MiB of memory free"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &shelf{closes: test.closes, state: test.state}
			h := handler(t, s)
			test.qemu.Command = "qemu-system-x86_64"
			h.Runner = controltest.NewRunner(t, test.qemu, controltest.Answer{Command: "qemu-system-x86_64 -version"})
			if test.uuid == "" {
				test.uuid = "u"
			}
			if test.memory == "" {
				test.memory = "MemAvailable: 1048576 kB\n"
			}
			for name, content := range map[string]string{"proc/meminfo": test.memory, "proc/net/unix": ""} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(h.Root, name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(h.Root, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := &Request{
				RunDir: filepath.Join(h.Root, "run"), Instance: control.Instance{Name: "web1", UUID: test.uuid, Node: "node1", MemoryBytes: 64 << 20, VCPUs: 1},
				Disks: []control.DiskSpec{{Disk: control.Disk{UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53", Template: "shelf", Image: "i"}, Map: test.mapped}},
			}
			payload, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Handle(t.Context(), ActionStart, payload, func(string) {})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if diff := cmp.Diff(test.log, s.log); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
			if kept := s.state.Claim != nil; kept != (test.closes != nil || test.held) {
				t.Errorf("the claim is still there: %t", kept)
			}
			if files, err := filepath.Glob(filepath.Join(h.Root, "run/kvm/*/web1*")); len(files) > 0 || err != nil {
				t.Errorf("there are still %v, %v", files, err)
			}
		})
	}
}

// What has the images open is noted, and where nothing has, that is told.
func TestRemember(t *testing.T) {
	for _, test := range []struct {
		watchers []string
		want     string
	}{{[]string{"a"}, ""}, {nil, "does not have image i open for anybody"}} {
		m := &mapper{shelf: shelf{state: control.ImageState{Watchers: test.watchers}}}
		h := handler(t, &m.shelf)
		h.Disks["shelf"] = m
		_, err := h.Handle(t.Context(), ActionRemember, json.RawMessage(`{"disks":[{"template":"shelf","image":"i"}]}`), nil)
		if test.want == "" && (err != nil || !slices.Equal(m.log, []string{"clients a"})) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("noted %v, %v", m.log, err)
		}
	}
}

func TestLocks(t *testing.T) {
	h := Handler{}
	payload := json.RawMessage(`{"run_dir":"/run/cephctl","instance":{"name":"web1"}}`)
	for action, want := range map[string]string{
		ActionLook: "", ActionProve: "", ActionStart: "/run/cephctl/kvm/lock/web1", ActionStop: "/run/cephctl/kvm/lock/web1",
		ActionActivate: "/run/cephctl/kvm/lock/web1", ActionRemove: "/run/cephctl/kvm/lock/web1",
	} {
		if got := h.Lock(action, payload); got != want {
			t.Errorf("lock of %s: %q, want %q", action, got, want)
		}
	}
	if _, err := h.Handle(t.Context(), ActionStart, json.RawMessage(`{`), nil); err == nil {
		t.Error("no error about a request that is none")
	}
	if _, err := h.Handle(t.Context(), "instance-paint", payload, nil); err == nil || errors.Is(err, control.ErrClaimed) {
		t.Errorf("error %v", err)
	}
}
