package node

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRemoveAfterKill(t *testing.T) {
	const device = "/srv-osd"
	removal := Removal{
		FSID: testFSID, Data: true, Everything: true,
		Daemons: []Daemon{{RoleOSD, "3"}, {RoleMgr, "node1"}, {RoleMon, "node1"}},
	}
	for killed := 0; ; killed++ {
		h, _ := testHost(t)
		if err := h.Init(t.Context(), testObject(h.Root+device), nil); err != nil {
			t.Fatal(err)
		}
		osds, err := h.osdsOf(t.Context(), removal)
		if err != nil {
			t.Fatal(err)
		}
		more := doSome(t, h, tearDown(h.layout(), removal, osds), killed)
		if err := h.Remove(t.Context(), removal, nil); err != nil {
			t.Fatalf("after %d operations: %v", killed, err)
		}
		var left []string
		for name, text := range tree(t, h.Root) {
			if !strings.HasPrefix(text, "d") && name != "run/cephctl/lock" {
				left = append(left, name)
			}
		}
		if len(left) > 0 {
			t.Fatalf("after %d operations: left are %q", killed, left)
		}
		if !more {
			return
		}
	}
}

func TestRemoveWithoutDataStopsOnly(t *testing.T) {
	h, tools := testHost(t)
	if err := h.Init(t.Context(), testObject(h.Root+"/srv-osd"), nil); err != nil {
		t.Fatal(err)
	}
	before := tree(t, h.Root)
	tools.ran = nil
	if err := h.Remove(t.Context(), Removal{FSID: testFSID, Daemons: []Daemon{{RoleOSD, "3"}}}, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(tools.ran, "systemctl disable --now ceph-osd@3") {
		t.Errorf("ran %q", tools.ran)
	}
	if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestRemoveRefuses(t *testing.T) {
	const other = "11111111-2222-3333-4444-555555555555"
	for name, c := range map[string]struct {
		removal Removal
		want    string
	}{
		"cluster of conf": {Removal{FSID: other, Everything: true}, "is of cluster " + testFSID},
		"cluster of OSD":  {Removal{FSID: other, Daemons: []Daemon{{RoleOSD, "3"}}}, "osd.3 is of cluster " + testFSID},
		"cluster of mon":  {Removal{FSID: other, Daemons: []Daemon{{RoleMon, "node1"}}}, "ceph-node1 is of cluster"},
		"daemon":          {Removal{FSID: testFSID, Daemons: []Daemon{{RoleOSD, "../3"}}}, "is not a daemon"},
		"fsid":            {Removal{FSID: ""}, "is not a UUID"},
	} {
		t.Run(name, func(t *testing.T) {
			h, tools := testHost(t)
			if err := h.Init(t.Context(), testObject(h.Root+"/srv-osd"), nil); err != nil {
				t.Fatal(err)
			}
			before := tree(t, h.Root)
			tools.ran = nil
			c.removal.Data = true
			wantError(t, h.Remove(t.Context(), c.removal, nil), c.want)
			if len(tools.ran) > 0 {
				t.Errorf("ran %q", tools.ran)
			}
			check(t, before, tree(t, h.Root))
		})
	}
}

func TestRemoveTellsWhatDoesNotStop(t *testing.T) {
	h, tools := testHost(t)
	tools.answers["systemctl show"] = "ActiveState=deactivating\nLoadState=loaded\n"
	removal := Removal{FSID: testFSID, Daemons: []Daemon{{RoleOSD, "3"}}}
	wantError(t, h.Remove(t.Context(), removal, nil), "stop ceph-osd@3: it is still deactivating")
	// A unit whose package is gone is as good as stopped.
	tools.errs["systemctl disable"] = errors.New("no such unit")
	tools.answers["systemctl show"] = "ActiveState=inactive\nLoadState=not-found\n"
	if err := h.Remove(t.Context(), removal, nil); err != nil {
		t.Error(err)
	}
}

func TestStart(t *testing.T) {
	h, tools := testHost(t)
	l := h.layout()
	write(t, l.osdSetting("3"), "OSD_UUID="+testUUID+"\n")
	write(t, l.pvs(), "")
	tools.answers["pvs"] = strings.ReplaceAll(string(read(t, "pvs", "2.03.16", "volume")), "ceph.osd_id=1", "ceph.osd_id=4")
	tools.creates["ceph-volume"] = l.wanted("multi-user", "ceph-volume@lvm-4-"+recordedUUID+".service")
	write(t, filepath.Join(l.data(Daemon{RoleOSD, "5"}), "ready"), "ready\n")
	write(t, filepath.Join(l.data(Daemon{RoleOSD, "5"}), "block"), "")
	if err := h.Start(t.Context(), []Daemon{{RoleOSD, "3"}, {RoleOSD, "4"}, {RoleOSD, "5"}, {RoleMgr, "a"}}, nil); err != nil {
		t.Fatal(err)
	}
	const pvs = "pvs --reportformat json -o pv_name,pv_uuid,vg_name,vg_tags,lv_name,lv_tags"
	check(t, []string{
		"systemctl restart cephctl-osd@3",
		"systemctl reset-failed ceph-osd@3", "systemctl enable --now ceph-osd@3",
		pvs, "ceph-volume lvm activate --bluestore 4 " + recordedUUID,
		"systemctl reset-failed ceph-osd@4", "systemctl start ceph-osd@4",
		pvs, "systemctl reset-failed ceph-osd@5", "systemctl enable --now ceph-osd@5",
		"systemctl reset-failed ceph-mgr@a", "systemctl enable --now ceph-mgr@a",
	}, tools.ran)
	wantError(t, h.Start(t.Context(), []Daemon{{RoleOSD, "6"}}, nil), "is empty, and nothing tells on which device osd.6 is")
}
