package kvm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFilename(t *testing.T) {
	image := Source{Driver: "rbd", Pool: "vms", Image: "381d.rbd.disk0"}
	tests := map[string]Source{
		"rbd:vms/381d.rbd.disk0":                              image,
		"rbd:vms/381d.rbd.disk0:id=admin:conf=/etc/ceph.conf": image,
		"rbd:vms/ns/img@snap:id=admin":                        {Driver: "rbd", Pool: "vms", Namespace: "ns", Image: "img", Snapshot: "snap"},
		`rbd:a\/b/c\:d\@e\\`:                                  {Driver: "rbd", Pool: "a/b", Image: `c:d@e\`},
		"rbd:":                                                {Driver: "rbd"},
		`json:{"driver": "raw", "file": {"pool": "vms", "image": "381d.rbd.disk0", "driver": "rbd", "namespace": ""}}`: image,
		`json:{"pool": "vms", "image": "img", "driver": "rbd", "namespace": "ns", "snapshot": "s"}`: {
			Driver: "rbd", Pool: "vms", Namespace: "ns", Image: "img", Snapshot: "s",
		},
		`json:{"throttle-group": "tg0", "driver": "throttle", "file": {"driver": "raw", "file": {"pool": "vms", "image": "i", "driver": "rbd"}}}`: {
			Driver: "rbd", Pool: "vms", Image: "i",
		},
		`json:{"driver":"raw","file":{"driver":"host_device","filename":"/dev/rbd0","aio":"native"}}`: {Driver: "host_device", Path: "/dev/rbd0"},
		`json:{"driver":"raw","file":{"driver":"file","filename":"/srv/disk"}}`:                       {Driver: "file", Path: "/srv/disk"},
		`json:{"driver":"blkdebug","image":{"driver":"file"}}`:                                        {Driver: "blkdebug"},
		`json:{"driver":"rbd","pool":7}`:                                                              {},
		"json:{":                                                                                      {},
		"/dev/rbd0":                                                                                   {Driver: "host_device", Path: "/dev/rbd0"},
		"/dev/rbd/vms/img":                                                                            {Driver: "host_device", Path: "/dev/rbd/vms/img", Pool: "vms", Image: "img"},
		"/dev/rbd/vms/ns/img@s":                                                                       {Driver: "host_device", Path: "/dev/rbd/vms/ns/img@s", Pool: "vms", Namespace: "ns", Image: "img", Snapshot: "s"},
		"/srv/ganeti/disk0":                                                                           {Driver: "file", Path: "/srv/ganeti/disk0"},
		"nbd://host/export":                                                                           {Driver: "nbd"},
		"disk.img":                                                                                    {Driver: "file", Path: "disk.img"},
	}
	for name, want := range tests {
		if diff := cmp.Diff(want, ParseFilename(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSourceString(t *testing.T) {
	for name, want := range map[string]string{
		"rbd:vms/img:id=admin":      "rbd:vms/img",
		"rbd:vms/ns/img@snap":       "rbd:vms/ns/img",
		"/dev/rbd0":                 "/dev/rbd0",
		"/dev/rbd/vms/img":          "/dev/rbd/vms/img",
		"nbd://host/export":         "",
		`json:{"driver":"null-co"}`: "",
	} {
		if got := ParseFilename(name).String(); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// The unit of the exporter has a /dev of its own, without the device that a link of Ganeti's leads to.
func TestHostDevice(t *testing.T) {
	dir := t.TempDir()
	link := func(name, target string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		link("inst1.lab:0", "/dev/null"):    "null",
		link("inst1.lab:1", "/dev/rbd4711"): "rbd4711",
		link("inst1.lab:2", "inst1.lab:1"):  "rbd4711",
		link("inst1.lab:3", "/srv/no-disk"): "",
		link("inst1.lab:4", "inst1.lab:4"):  "",
		"/dev/rbd4711":                      "rbd4711",
		"/srv/ganeti/no-disk0":              "",
		"":                                  "",
	} {
		if got := ParseFilename(path).HostDevice(); got != want {
			t.Errorf("device behind %q: got %q, want %q", path, got, want)
		}
	}
}

func FuzzParseFilename(f *testing.F) {
	f.Add(`rbd:vms/ns/img@snap:id=admin`)
	f.Add(`rbd:a\/b/c\:d\`)
	f.Add(`json:{"driver": "raw", "file": {"pool": "vms", "image": "i", "driver": "rbd"}}`)
	f.Add("/dev/rbd/vms/img@s")
	f.Fuzz(func(t *testing.T, name string) { ParseFilename(name) })
}
