package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The OSD of what was recorded with LVM.
const (
	recordedUUID = "6bc2df16-8563-4f59-951c-2097bef88e66"
	recordedFSID = "7e7e5375-97c5-4baf-8840-b3ba338244c8"
)

func read(t testing.TB, elements ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func check(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseLabel(t *testing.T) {
	whole, err := parseLabel(read(t, "label", "16.2.15", "complete"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, DeviceOSD{
		ID: 3, UUID: "5c6cf006-6ad6-4bc7-88cf-d0e0bc92dd25", FSID: "940d9443-ba32-4da1-8aad-2463e87f2204", Complete: true,
	}, whole.osd())
	check(t, "main", whole.Description)
	if key, found := whole.Meta["osd_key"]; found {
		t.Errorf("the key was read: %s", key)
	}
	half, err := parseLabel(read(t, "label", "16.2.15", "half"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, DeviceOSD{ID: -1, UUID: testUUID}, half.osd())
	for length := range len(encodeLabel(testUUID, map[string]string{"whoami": "3"})) {
		if _, err := parseLabel(encodeLabel(testUUID, map[string]string{"whoami": "3"})[:length]); err == nil {
			t.Errorf("a label of %d bytes was read", length)
		}
	}
}

func FuzzParseLabel(f *testing.F) {
	f.Add(read(f, "label", "16.2.15", "complete"))
	f.Add(read(f, "label", "16.2.15", "half"))
	f.Add([]byte(labelMagic))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if found, err := parseLabel(data); err == nil {
			_ = found.osd().describe()
		}
	})
}

func TestParseSignatures(t *testing.T) {
	for name, want := range map[string][]string{
		"empty": nil,
		"ext4":  {"ext4 file system"},
		"gpt":   {"gpt partition table", "PMBR partition table"},
		"lvm":   {"LVM physical volume"},
		"swap":  {"swap space"},
	} {
		got, err := parseSignatures(read(t, "wipefs", "2.38.1", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(t, want, got)
	}
}

func TestParseVolumes(t *testing.T) {
	got, err := parseVolumes(read(t, "pvs", "2.03.16", "none"))
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	// What is made of a device one after the other, and what an earlier version or an admin has.
	whole := DeviceOSD{ID: 1, UUID: recordedUUID, FSID: recordedFSID}
	for name, want := range map[string]DeviceOSD{
		"alone":       {ID: -1, UUID: recordedUUID},
		"group":       whole,
		"volume":      whole,
		"empty-group": {ID: -1, UUID: testUUID},
	} {
		got, err := parseVolumes(read(t, "pvs", "2.03.16", name))
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: got %v, %v", name, got, err)
		}
		osd, ok := got[0].osd()
		check(t, want, osd)
		check(t, true, ok)
	}
	got, err = parseVolumes([]byte(`{"report":[{"pv":[{"pv_name":"/dev/sdb","vg_name":"data","lv_name":"osd-block-x",` +
		`"lv_tags":"ceph.cluster_fsid=` + testFSID + `,ceph.osd_fsid=` + testUUID + `,ceph.osd_id=3,other"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	osd, _ := got[0].osd()
	check(t, DeviceOSD{ID: 3, UUID: testUUID, FSID: testFSID}, osd)
	for _, foreign := range []volume{
		{PVUUID: "cW5ce1-cp5Q-fVbi-p37D-EGIY-C1Bf-gedBrt"},
		{PVUUID: "6bc2df-1685-634f-5995-1c20-97be-f88e66", VG: "data"},
		{PVUUID: "6bc2df-1685-634f-5995-1c20-97be-f88e66", VG: "data", LV: "root"},
	} {
		if osd, ok := foreign.osd(); ok {
			t.Errorf("%+v is taken for %+v", foreign, osd)
		}
	}
}

func TestPhysicalVolume(t *testing.T) {
	osd := OSD{UUID: recordedUUID}
	check(t, "6bc2df-1685-634f-5995-1c20-97be-f88e66", osd.physicalVolume())
	check(t, recordedUUID, uuidOfPhysical(osd.physicalVolume()))
}

func TestParseUnits(t *testing.T) {
	got := parseUnits([]byte("Id=ceph-mon@node1.service\nActiveState=active\n\nId=ceph-osd@3.service\nActiveState=failed\n"))
	check(t, []map[string]string{
		{"Id": "ceph-mon@node1.service", "ActiveState": "active"},
		{"Id": "ceph-osd@3.service", "ActiveState": "failed"},
	}, got)
	for unit, want := range map[string]Daemon{
		"ceph-osd@3.service":     {RoleOSD, "3"},
		"ceph-mon@a.b-c.service": {RoleMon, "a.b-c"},
	} {
		if got, ok := parseUnitName(unit); !ok || got != want {
			t.Errorf("%s: got %v, %v", unit, got, ok)
		}
	}
	for _, unit := range []string{"ceph-osd@x.service", "ceph-mds@a.service", "ssh.service", "ceph-mon@.service", ""} {
		if got, ok := parseUnitName(unit); ok {
			t.Errorf("%s: got %v", unit, got)
		}
	}
}

func TestParsePackages(t *testing.T) {
	got := parsePackages(read(t, "dpkg-query", "1.21", "bookworm"))
	check(t, "16.2.15+ds-0+deb12u2", got["ceph-osd"])
	check(t, "2.03.16-2", got["lvm2"])
	if version, found := got["ceph-fuse"]; found {
		t.Errorf("ceph-fuse is not installed, got %q", version)
	}
	for version, want := range map[string]string{
		"16.2.15+ds-0+deb12u2": "16.2.15", "18.2.7-1": "18.2.7", "1:20.2~rc1": "20.2", "": "",
	} {
		check(t, want, upstreamVersion(version))
	}
}

func TestParseConf(t *testing.T) {
	conf := parseConf([]byte("# x\n[global]\n\tfsid = " + testFSID + " ; here\n mon-host=[v2:10.0.0.1:3300] \n" +
		"[osd]\nfsid = other\n"))
	check(t, testFSID, conf.FSID)
	check(t, "[v2:10.0.0.1:3300]", conf.MonHost)
	check(t, "a", parseConf([]byte("[ global ]\nfsid=a\nmon_host=\"b c\"")).FSID)
}

func TestParseMonmap(t *testing.T) {
	printed := read(t, "monmaptool", "16.2.15", "one")
	for name, want := range map[string]bool{"node1": true, "node": false, "ode1": false, "1": false} {
		check(t, want, monmapNames(printed, name))
	}
}

func TestParseMachine(t *testing.T) {
	mounts := "36 35 98:0 / / rw - ext4 /dev/vda rw\n37 36 7:0 / /srv/a\\040b rw shared:1 - xfs /dev/loop0 rw\n"
	check(t, "/srv/a b", mountedOn([]byte(mounts), "7:0"))
	check(t, "", mountedOn([]byte(mounts), "7:1"))
	swaps := "Filename Type Size Used Priority\n/dev/loop0 partition 3145724 0 -2\n"
	check(t, true, isSwap([]byte(swaps), "/dev/loop0"))
	check(t, false, isSwap([]byte(swaps), "/dev/loop"))
}

func TestBestName(t *testing.T) {
	check(t, "wwn-0x5", bestName([]string{"ata-X_1", "scsi-3", "wwn-0x5", "lvm-pv-uuid-1"}))
	check(t, "nvme-eui.1", bestName([]string{"nvme-Samsung_1", "nvme-eui.1"}))
	check(t, "ata-A", bestName([]string{"virtio-1", "ata-B", "ata-A"}))
	check(t, "virtio-1", bestName([]string{"lvm-pv-uuid-1", "virtio-1"}))
	check(t, "", bestName(nil))
}

func TestQuote(t *testing.T) {
	check(t, `a 'b c' 'it'\''s' '' osd.<id> '$x'`, quote([]string{"a", "b c", "it's", "", "osd.<id>", "$x"}))
}

func TestWipePositions(t *testing.T) {
	const gib = 1 << 30
	check(t, []int64{11*gib - wipeLength, 10 * gib, gib, 0}, wipePositions(11*gib))
	check(t, []int64{0, 0}, wipePositions(4096))
}

func FuzzParsers(f *testing.F) {
	for _, path := range []string{"wipefs/2.38.1/gpt", "pvs/2.03.16/empty-group", "dpkg-query/1.21/bookworm", "monmaptool/16.2.15/one"} {
		f.Add(read(f, path))
	}
	f.Add([]byte("[global]\nfsid = a\n"))
	f.Add([]byte("MemTotal: 1 kB\n"))
	f.Add([]byte(`{"state":"leader"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseSignatures(data)
		_, _ = parseVolumes(data)
		_, _ = parseMonStatus(data)
		parsePackages(data)
		parseConf(data)
		monmapNames(data, "a")
		mountedOn(data, "1:1")
		isSwap(data, "/dev/sda")
		for _, unit := range parseUnits(data) {
			if d, ok := parseUnitName(unit["Id"]); ok && strings.Contains(d.ID, "/") {
				t.Errorf("daemon %v", d)
			}
		}
	})
}
