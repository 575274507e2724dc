package kvm

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readRuntime(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/ganeti/3.0/inst1.lab.runtime")
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestParseRuntime(t *testing.T) {
	got, err := ParseRuntime(readRuntime(t))
	if err != nil {
		t.Fatal(err)
	}
	want := &Runtime{
		DiskCache: "default", DiskAIO: "threads", DiskDiscard: "default",
		Disks: []Disk{{
			Index:    0,
			UUID:     "f42e5100-476a-4674-ab6c-1aedf73dec53",
			Size:     128,
			Template: "rbd",
			Pool:     "vms",
			Image:    "381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0",
			Access:   "userspace",
			DeviceID: "disk-f42e5100-476a-4674",
			Link:     "/var/run/ganeti/instance-disks/inst1.lab:0",
			URI:      "rbd:vms/381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runtime differs (-want +got):\n%s", diff)
	}
}

func TestParseRuntimeOddForms(t *testing.T) {
	tests := map[string]struct {
		file string
		want *Runtime
	}{
		"without disks":              {`[["kvm", "-m", 64], [], {"disk_cache": "none"}]`, &Runtime{DiskCache: "none"}},
		"empty":                      {`[]`, &Runtime{}},
		"without parameters":         {`[[], []]`, &Runtime{}},
		"parameters of another form": {`[1, 2, 3, 4, 5]`, &Runtime{}},
		"disk without URI": {
			`[[], [], {}, [[{"iv_name": "disk/3", "uuid": "u", "dev_type": "plain", "logical_id": ["vg", "lv"]}, "/link"]]]`,
			&Runtime{Disks: []Disk{{Index: 3, UUID: "u", Template: "plain", Link: "/link"}}},
		},
		"disks of another form": {
			`[[], [], {}, [7, [], [null, null], [{"iv_name": "disk/x", "size": "big", "hvinfo": null}]]]`,
			&Runtime{Disks: []Disk{{Index: 0}, {Index: 1}, {Index: 2}, {Index: 3}}},
		},
	}
	for name, test := range tests {
		got, err := ParseRuntime([]byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, file := range []string{"", "{}", "7", "[", "[]]"} {
		if got, err := ParseRuntime([]byte(file)); err == nil {
			t.Errorf("%q: got %+v, want an error", file, got)
		}
	}
}

func TestRuntimeFind(t *testing.T) {
	const uuid = "f42e5100-476a-4674-ab6c-1aedf73dec53"
	withID := &Runtime{Disks: []Disk{{Index: 1, UUID: uuid, DeviceID: "disk-f42e5100-476a-4674"}}}
	old := &Runtime{Disks: []Disk{{Index: 1, UUID: uuid}}}
	tests := []struct {
		runtime *Runtime
		names   []string
		want    bool
	}{
		{withID, []string{"disk-f42e5100-476a-4674"}, true},
		{withID, []string{"thr0", "disk-f42e5100-476a-4674"}, true},
		{withID, []string{"disk-f42e5100-476a-pci-6"}, false},
		{withID, nil, false},
		{old, []string{"disk-f42e5100-476a-4674"}, true},
		{old, []string{"disk-f42e5100-476a-pci-6"}, true},
		{old, []string{"hotdisk-f42e5100-pci-5"}, true},
		{old, []string{"disk-f42e"}, false},
		{old, []string{"nic-f42e5100-476a-4674"}, false},
		{old, []string{"ide1-cd0", ""}, false},
	}
	for _, test := range tests {
		if _, ok := test.runtime.Find(test.names...); ok != test.want {
			t.Errorf("find %q: got %v, want %v", test.names, ok, test.want)
		}
	}
}

func FuzzParseRuntime(f *testing.F) {
	f.Add(readRuntime(f))
	f.Add([]byte(`[1, 2, 3, [[{"logical_id": []}], 7]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseRuntime(data); (r == nil) == (err == nil) {
			t.Errorf("runtime %v with error %v", r, err)
		}
	})
}
