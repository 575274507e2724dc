package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestObserve(t *testing.T) {
	h, tools := testHost(t)
	device := h.Root + "/srv-osd"
	if err := h.Init(t.Context(), testObject(device), nil); err != nil {
		t.Fatal(err)
	}
	write(t, h.layout().wanted("ceph-osd", "ceph-osd@3.service"), "")
	write(t, h.layout().data(Daemon{RoleMon, "left.new"})+"/store.db/x", "")
	tools.answers["dpkg-query"] = string(read(t, "dpkg-query", "1.21", "bookworm"))
	tools.answers["systemctl show"] = "Id=ceph-osd@3.service\nActiveState=active\n\n" +
		"Id=ceph-osd@12.service\nActiveState=failed\n\nId=ceph-osd@7.service\nActiveState=inactive\n"
	facts, err := h.Observe(t.Context(), Query{Devices: []string{device, h.Root + "/new", "/none/x"}, Backend: BackendFile})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "16.2.15", facts.Release)
	check(t, testFSID, facts.Conf.FSID)
	check(t, []File{{Name: "ceph.client.admin.keyring", Mode: "0600"}}, facts.Keyrings)
	check(t, []DaemonFacts{
		{Daemon: Daemon{RoleMon, "node1"}, Data: true, FSID: testFSID},
		{Daemon: Daemon{RoleMgr, "node1"}, Data: true, FSID: testFSID},
		{
			Daemon: Daemon{RoleOSD, "3"}, Active: "active", Enabled: true, Data: true, FSID: testFSID, UUID: testUUID,
			Device: device, Backend: BackendFile,
		},
		{Daemon: Daemon{RoleOSD, "12"}, Active: "failed"},
	}, facts.Daemons)
	check(t, []DeviceFacts{
		{
			Path: device, Stable: device, Exists: true, SizeBytes: 1 << 30, Content: "osd.3 of cluster " + testFSID,
			OSD: &DeviceOSD{ID: 3, UUID: testUUID, FSID: testFSID, Complete: true},
		},
		{Path: h.Root + "/new", Stable: h.Root + "/new", Exists: true, Pristine: true},
		{Path: "/none/x", Stable: "/none/x"},
	}, facts.Devices)
	text, err := json.Marshal(facts)
	if err != nil || strings.Contains(string(text), testKey) {
		t.Errorf("the facts hold a secret (%v)", err)
	}
}

// A ceph.conf that can't be read is still one that is there.
func TestObserveUnreadableConf(t *testing.T) {
	h, _ := testHost(t)
	if err := os.MkdirAll(h.layout().conf(), 0o755); err != nil {
		t.Fatal(err)
	}
	facts, err := h.Observe(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, &Conf{}, facts.Conf)
}

// Where nothing can be read, there are problems and no error; and nothing is said to be pristine.
func TestObserveProblems(t *testing.T) {
	h, tools := testHost(t)
	for _, program := range []string{"dpkg-query", "systemctl", "wipefs"} {
		tools.errs[program] = errBroken
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	facts, err := h.Observe(ctx, Query{Devices: []string{os.DevNull, "/dev/does-not-exist"}, Backend: BackendRaw})
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range facts.Devices {
		if device.Pristine {
			t.Errorf("%s is said to be pristine", device.Path)
		}
	}
	for _, want := range []string{"read packages: broken", "read state of units: broken"} {
		if !strings.Contains(strings.Join(facts.Problems, "\n"), want) {
			t.Errorf("want %q in %q", want, facts.Problems)
		}
	}
}

// hangingTools hang as a command does that looks at a dead disk.
type hangingTools struct{}

func (hangingTools) Run(ctx context.Context, _ []byte, argv ...string) ([]byte, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("run %s: %w", argv[0], ctx.Err())
}

// What hangs is named, and no device is said to be without what may be on it.
func TestObserveHangs(t *testing.T) {
	h, _ := testHost(t)
	h.Runner, h.observed = hangingTools{}, 10*time.Millisecond
	_, err := h.Observe(t.Context(), Query{Devices: []string{"/dev/sdb"}, Backend: BackendRaw})
	wantError(t, err, "not all could be looked at within 10ms: read packages: run dpkg-query: context deadline exceeded")
}

func TestBoundedLeavesAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hangs := make(chan int)
	_, err := bounded(ctx, "look at x", func() (int, error) { return <-hangs, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(hangs)
}

func TestHandler(t *testing.T) {
	h, _ := testHost(t)
	handler := Handler{Host: h}
	handle := func(action, payload string) (any, error) {
		return handler.Handle(t.Context(), action, json.RawMessage(payload), func(string) {})
	}
	if _, err := handle(ActionNodeInfo, `{"group":"g1"}`); err != nil {
		t.Error(err)
	}
	check(t, `-rw-r--r-- "{\"group\":\"g1\"}"`, tree(t, h.Root)["var/lib/cephctl/node.json"])
	if facts, err := handle(ActionObserve, ""); err != nil || facts.(Facts).Host == "" {
		t.Errorf("got %v, %v", facts, err)
	}
	for _, action := range []string{ActionInit, ActionRemove, ActionStart, ActionObserve} {
		_, err := handle(action, `"`+testKey+`"`)
		wantError(t, err, "read payload")
		if err != nil && strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: a secret is in the error", action)
		}
	}
	_, err := handle("reboot", "")
	wantError(t, err, `unknown action "reboot": known are observe, init, remove, start, node-info`)
}

// Of an OSD on a volume, LVM knows the disk; when that is gone, nobody does. It starts at a boot when ceph-volume's unit does.
func TestObserveVolumeOSD(t *testing.T) {
	h, tools := testHost(t)
	l := h.layout()
	osd := OSD{ID: 1, UUID: recordedUUID, Backend: BackendLVM}
	write(t, l.pvs(), "")
	data := l.data(osd.daemon())
	write(t, data+"/fsid", recordedUUID+"\n")
	if err := os.Symlink(osd.block(), data+"/block"); err != nil {
		t.Fatal(err)
	}
	write(t, l.wanted("multi-user", osd.volumeTrigger()+".service"), "")
	want := DaemonFacts{Daemon: osd.daemon(), Enabled: true, UUID: recordedUUID, Backend: BackendLVM}
	for answer, device := range map[string]string{"volume": "/dev/vdb", "none": ""} {
		tools.answers["pvs"] = string(read(t, "pvs", "2.03.16", answer))
		facts, err := h.Observe(t.Context(), Query{})
		if err != nil {
			t.Fatal(err)
		}
		want.Device, want.FSID = device, ""
		if device != "" {
			want.FSID = recordedFSID
		}
		check(t, []DaemonFacts{want}, facts.Daemons)
	}
}

// ceph-volume is part of ceph-osd in older releases.
func TestObserveVolumePackage(t *testing.T) {
	h, tools := testHost(t)
	tools.answers["dpkg-query"] = "installed ceph-osd 16.2.15+ds-0+deb12u1\n"
	for _, want := range []string{"", "16.2.15+ds-0+deb12u1"} {
		facts, err := h.Observe(t.Context(), Query{Backend: BackendRaw})
		if err != nil {
			t.Fatal(err)
		}
		check(t, want, facts.Packages["ceph-volume"])
		write(t, h.layout().cephVolume(), "")
	}
}
