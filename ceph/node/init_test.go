package node

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInit(t *testing.T) {
	for _, umask := range []int{0, 0o77} {
		testInit(t, umask)
	}
}

func testInit(t *testing.T, umask int) {
	t.Helper()
	h, tools := testHost(t)
	var told []string
	obj := testObject(h.Root + "/srv-osd")
	defer syscall.Umask(syscall.Umask(umask))
	if err := h.Init(t.Context(), obj, func(s string) { told = append(told, strings.ReplaceAll(s, h.Root, "")) }); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"write /etc/ceph/ceph.conf and keyrings", "make mon.node1", "start mon.node1", "make mgr.node1",
		"start mgr.node1", "make osd.3 on /srv-osd", "fill /var/lib/ceph/osd/ceph-3", "start osd.3",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	for _, line := range tools.ran {
		if strings.Contains(line, testKey) {
			t.Errorf("a secret is in a command line: %s", line)
		}
	}
	var files strings.Builder
	found := tree(t, h.Root)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		files.WriteString(name + ": " + strings.ReplaceAll(found[name], h.Root, "") + "\n")
	}
	golden(t, "testdata/init/tree.txt", files.String())
}

// What a run that was killed after any number of operations has left, the next one completes.
func TestInitAfterKill(t *testing.T) {
	whole, _ := testHost(t)
	device := "/srv-osd"
	if err := whole.Init(t.Context(), testObject(whole.Root+device), nil); err != nil {
		t.Fatal(err)
	}
	want := relative(tree(t, whole.Root), whole.Root)
	for killed := 0; ; killed++ {
		h, _ := testHost(t)
		obj := testObject(h.Root + device)
		if !doSome(t, h, bringUp(h.layout(), obj), killed) {
			if killed < 20 {
				t.Errorf("only %d operations", killed)
			}
			return
		}
		if err := h.Init(t.Context(), obj, nil); err != nil {
			t.Fatalf("after %d operations: %v", killed, err)
		}
		if diff := cmp.Diff(want, relative(tree(t, h.Root), h.Root)); diff != "" {
			t.Fatalf("after %d operations (-want +got):\n%s", killed, diff)
		}
	}
}

// doSome does this many operations, without what is to be done finally. It returns false when there are not so many.
func doSome(t *testing.T, h *Host, stages []stage, count int) bool {
	t.Helper()
	for _, s := range stages {
		if s.already != nil {
			if done, err := s.already(t.Context(), h); err != nil {
				t.Fatal(err)
			} else if done {
				continue
			}
		}
		for _, o := range s.operations {
			if count == 0 {
				return true
			}
			count--
			if err := o.do(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
	}
	return false
}

func relative(found map[string]string, root string) map[string]string {
	for name, text := range found {
		found[name] = strings.ReplaceAll(text, root, "")
	}
	return found
}

func TestInitTwice(t *testing.T) {
	h, tools := testHost(t)
	obj := testObject(h.Root + "/srv-osd")
	for range 2 {
		tools.ran = nil
		if err := h.Init(t.Context(), obj, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"systemctl reset-failed ceph-mon@node1", "systemctl enable --now ceph-mon@node1",
		"systemctl reset-failed ceph-mgr@node1", "systemctl enable --now ceph-mgr@node1",
		"systemctl reset-failed ceph-osd@3", "systemctl enable --now ceph-osd@3",
	}
	if diff := cmp.Diff(want, tools.ran); diff != "" {
		t.Errorf("the second time (-want +got):\n%s", diff)
	}
}

func TestInitRefuses(t *testing.T) {
	const other = "11111111-2222-3333-4444-555555555555"
	for name, c := range map[string]struct {
		prepare func(t *testing.T, h *Host, obj *Object)
		want    string
	}{
		"foreign conf": {func(t *testing.T, h *Host, _ *Object) {
			write(t, h.layout().conf(), "[global]\nfsid = "+other+"\n")
		}, "is of cluster " + other + ", not " + testFSID},
		"conf without fsid": {func(t *testing.T, h *Host, _ *Object) {
			write(t, h.layout().conf(), "[global]\n")
		}, "names no fsid"},
		"foreign mon": {func(t *testing.T, h *Host, _ *Object) {
			write(t, h.Root+"/var/lib/ceph/mon/ceph-node1/ceph_fsid", other)
		}, "ceph-node1 is of cluster " + other},
		"foreign mgr": {func(t *testing.T, h *Host, _ *Object) {
			write(t, h.Root+"/var/lib/ceph/mgr/ceph-node1/ceph_fsid", other)
		}, "ceph-node1 is of cluster " + other},
		"mon that says so": {func(_ *testing.T, h *Host, _ *Object) {
			h.sockets = fakeSockets{fsid: other}
		}, "mon.node1 is of another cluster: " + other},
		"file that exists": {func(t *testing.T, _ *Host, obj *Object) {
			write(t, obj.OSDs[0].Device, "mine")
		}, "exists already, and is not osd.3"},
		"file of another OSD": {func(t *testing.T, _ *Host, obj *Object) {
			write(t, obj.OSDs[0].Device, string(encodeLabel(other, map[string]string{"whoami": "3", "ceph_fsid": testFSID})))
		}, "holds another OSD: osd.3, uuid " + other},
		"OSD of another cluster": {func(t *testing.T, _ *Host, obj *Object) {
			write(t, obj.OSDs[0].Device, string(encodeLabel(testUUID, map[string]string{"whoami": "3", "ceph_fsid": other})))
		}, "holds an OSD of another cluster: " + other},
		"number of another OSD": {func(t *testing.T, _ *Host, obj *Object) {
			write(t, obj.OSDs[0].Device, string(encodeLabel(testUUID, map[string]string{"whoami": "4"})))
		}, "holds osd.4, not osd.3"},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := testHost(t)
			obj := testObject(h.Root + "/srv-osd")
			c.prepare(t, h, &obj)
			wantError(t, h.Init(t.Context(), obj, nil), c.want)
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func TestCheckObject(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Object)
		want   string
	}{
		"name":        {func(o *Object) { o.Name = "../x" }, "is not a name of a mon"},
		"fsid":        {func(o *Object) { o.FSID = "x" }, "is not a UUID"},
		"conf":        {func(o *Object) { o.Conf = "" }, "ceph.conf names fsid"},
		"role":        {func(o *Object) { o.Roles = []string{"mds"} }, "is not a role"},
		"keyring":     {func(o *Object) { o.Keyrings = map[string]string{"../../shadow": "x"} }, "is not a name of a keyring"},
		"mon":         {func(o *Object) { o.Mon = nil }, "addresses or keyring are missing"},
		"mgr":         {func(o *Object) { o.MgrKeyring = "" }, "keyring is missing"},
		"OSD number":  {func(o *Object) { o.OSDs[0].ID = -1 }, "has no number"},
		"OSD backend": {func(o *Object) { o.OSDs[0].Backend = "zfs" }, "is not a backend"},
		"OSD device":  {func(o *Object) { o.OSDs[0].Device = "sdb" }, "is not an absolute path"},
		"OSD key":     {func(o *Object) { o.OSDs[0].Secret = "" }, "the key is missing"},
		"OSD size":    {func(o *Object) { o.OSDs[0].SizeBytes = 0 }, "the size of"},
		"OSD uuid":    {func(o *Object) { o.OSDs[0].UUID = "x" }, "is not a UUID"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := testObject("/srv/osd")
			c.change(&obj)
			err := obj.check()
			wantError(t, err, c.want)
			if err != nil && strings.Contains(err.Error(), testKey) {
				t.Error("a secret is in the error")
			}
		})
	}
}

func TestInitTellsWhyUnitFailed(t *testing.T) {
	h, tools := testHost(t)
	h.sockets = silent{}
	tools.answers["systemctl show"] = "ActiveState=failed\nResult=exit-code\nNRestarts=3\n"
	tools.answers["journalctl -u ceph-mon@node1"] = "unable to bind: address in use\n"
	err := h.Init(t.Context(), testObject(h.Root+"/srv-osd"), nil)
	wantError(t, err, "start mon.node1: the unit does not stay up: ceph-mon@node1 is failed (exit-code)")
	wantError(t, err, "unable to bind: address in use")
}

func TestMkfsTriesAgain(t *testing.T) {
	h, _ := testHost(t)
	busy := &busyTools{left: 3}
	h.Runner = busy
	c := command{argv: []string{"ceph-osd"}, stdin: []byte(testKey), again: isBusy}
	if err := c.do(t.Context(), h); err != nil || busy.left != 0 {
		t.Errorf("got %v with %d attempts left", err, busy.left)
	}
	silent := &fakeTools{errs: map[string]error{"ceph-osd": exitError{1, "did not load config file"}}}
	h.Runner = silent
	if err := c.do(t.Context(), h); err == nil || len(silent.ran) != attempts {
		t.Errorf("got %v after %d attempts without a reason", err, len(silent.ran))
	}
	h.Runner = &fakeTools{errs: map[string]error{"ceph-osd": exitError{1, "** ERROR: can't read " + testKey}}}
	wantError(t, c.do(t.Context(), h), "can't read (secret)")
}

// TestMonIsLetInSoon has a mon that is turned away many times, as one that comes back into the map is.
func TestMonIsLetInSoon(t *testing.T) {
	set, unset := "ceph daemon mon.a config set ms_max_backoff 0.2", "ceph daemon mon.a config unset ms_max_backoff"
	for name, c := range map[string]struct {
		probing int
		want    []string
	}{
		"at once":      {0, nil},
		"soon":         {patience - 1, nil},
		"after a time": {patience + 5, []string{set, unset}},
	} {
		t.Run(name, func(t *testing.T) {
			h, tools := testHost(t)
			h.sockets = &probingMon{left: c.probing}
			a := await{daemon: Daemon{Role: RoleMon, ID: "a"}, socket: "a.asok", fsid: testFSID}
			if err := a.do(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			ran := slices.DeleteFunc(tools.ran, func(line string) bool { return !strings.HasPrefix(line, "ceph ") })
			if !slices.Equal(ran, c.want) {
				t.Errorf("got %q, want %q", ran, c.want)
			}
		})
	}
}

// TestMonIsNeverLetIn ends, with the journal, before who has asked for it gives up.
func TestMonIsNeverLetIn(t *testing.T) {
	h, tools := testHost(t)
	h.sockets, h.upWithin = &probingMon{left: 1 << 30}, 20*time.Millisecond
	tools.answers["systemctl show"] = "ActiveState=active\n"
	tools.answers["journalctl"] = "no route to host"
	a := await{daemon: Daemon{Role: RoleMon, ID: "a"}, socket: "a.asok", fsid: testFSID}
	err := a.do(t.Context(), h)
	wantError(t, err, "wait for mon.a: it does not do its work after 20ms (last: mon.a is looking for the other mons (probing))")
	wantError(t, err, "no route to host")
}
