package adminsocket

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseName(t *testing.T) {
	tests := []struct {
		file   string
		want   Socket
		daemon string
		pid    int
	}{
		{"ceph-osd.3.asok", Socket{Cluster: "ceph", Type: "osd", ID: "3"}, "osd.3", 0},
		{"ceph-mon.node1.example.org.asok", Socket{Cluster: "ceph", Type: "mon", ID: "node1.example.org"}, "mon.node1.example.org", 0},
		{"ceph-mgr.x.asok", Socket{Cluster: "ceph", Type: "mgr", ID: "x"}, "mgr.x", 0},
		{"ceph-mds.a.asok", Socket{Cluster: "ceph", Type: "mds", ID: "a"}, "mds.a", 0},
		{"my-site-osd.0.asok", Socket{Cluster: "my-site", Type: "osd", ID: "0"}, "osd.0", 0},
		{"ceph-client.rgw.gate.4711.94.asok", Socket{Cluster: "ceph", Type: "client", ID: "rgw.gate.4711.94"}, "rgw.gate.4711.94", 4711},
		{"ceph-client.admin.asok", Socket{Cluster: "ceph", Type: "client", ID: "admin"}, "admin", 0},
		{"ceph-client.a.b.c.asok", Socket{Cluster: "ceph", Type: "client", ID: "a.b.c"}, "a.b.c", 0},
		{"ceph-client.vm-mon.1.4711.94.asok", Socket{Cluster: "ceph", Type: "client", ID: "vm-mon.1.4711.94"}, "vm-mon.1.4711.94", 4711},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			test.want.Path = "/run/ceph/" + test.file
			got, ok := ParseName(test.want.Path)
			if !ok {
				t.Fatal("not taken for an admin socket")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Daemon() != test.daemon || got.ClientPID() != test.pid {
				t.Errorf("daemon %q, pid %d, want %q, %d", got.Daemon(), got.ClientPID(), test.daemon, test.pid)
			}
		})
	}
	for _, file := range []string{"", ".asok", "ceph.asok", "ceph-osd.asok", "ceph-osd..asok.lock", "-osd.3.asok", "ceph-osd.3", "ceph-nfs.3.asok"} {
		if got, ok := ParseName("/run/ceph/" + file); ok {
			t.Errorf("%q is taken for %+v", file, got)
		}
	}
}

func TestInstanceID(t *testing.T) {
	for file, want := range map[string]string{
		"ceph-client.rgw.foo.node1.hrgsea.2.94739968030880.asok": "hrgsea",
		"ceph-client.rgw.gate.4711.94.asok":                      "94",
		"ceph-client.rgw.node1.gate.4711.94.asok":                "4711",
		"ceph-client.radosgw.gate.asok":                          "gate",
		"ceph-client.radosgw.gate.4711.94.asok":                  "94",
		"ceph-client.rgw.gate.asok":                              "",
		"ceph-client.rgw.asok":                                   "",
		"ceph-client.radosgw.asok":                               "",
		"ceph-client.vm.rgw.4711.94.asok":                        "",
		"ceph-client.rbd-mirror.a.4711.94.asok":                  "",
		"ceph-mon.rgw.a.b.c.asok":                                "",
		"ceph-mds.a.asok":                                        "",
	} {
		s, _ := ParseName(file)
		if got, ok := s.InstanceID(); got != want || ok != (want != "") {
			t.Errorf("instance of %s is %q, %v, want %q", file, got, ok, want)
		}
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("ceph-osd.3.asok")
	f.Add("a-mon-osd.-client.1.2.asok")
	f.Fuzz(func(t *testing.T, path string) {
		s, ok := ParseName(path)
		if !ok {
			return
		}
		if name := s.Cluster + "-" + s.Type + "." + s.ID + ".asok"; name != filepath.Base(path) || s.Path != path {
			t.Errorf("%q gives %+v", path, s)
		}
		if s.Daemon() == "" || s.ClientPID() < 0 {
			t.Errorf("%q is daemon %q, pid %d", path, s.Daemon(), s.ClientPID())
		}
	})
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	const fsid = "1c2b3a4d-0000-4000-8000-000000000000"
	if err := os.MkdirAll(filepath.Join(dir, fsid, "deeper"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ceph-osd.1.asok", "other.sock", fsid + "/ceph-osd.2.asok", fsid + "/deeper/ceph-osd.3.asok"} {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, "ceph-osd.9.asok"), nil, 0o644); err != nil { // no socket
		t.Fatal(err)
	}
	found, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Socket{
		{Path: filepath.Join(dir, fsid, "ceph-osd.2.asok"), Cluster: "ceph", Type: "osd", ID: "2"},
		{Path: filepath.Join(dir, "ceph-osd.1.asok"), Cluster: "ceph", Type: "osd", ID: "1"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFindWithoutDirectory(t *testing.T) {
	found, err := Find(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(found) != 0 {
		t.Errorf("found %v, error %v", found, err)
	}
}
