package guestdisk

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// recording is a runner that remembers what was run, and answers by the command.
type recording struct {
	ran     []string
	answers map[string]string
	fail    string
}

func (r *recording) Run(_ context.Context, _ []byte, argv ...string) ([]byte, error) {
	line := strings.Join(argv, " ")
	r.ran = append(r.ran, strings.TrimPrefix(line, "rbd --admin-socket= --id instances "))
	if r.fail != "" && strings.Contains(line, r.fail) {
		return nil, failed{16, "rbd: sysfs write failed; rbd: unmap failed: (16) Device or resource busy"}
	}
	for part, answer := range r.answers {
		if strings.Contains(line, part) {
			return []byte(answer), nil
		}
	}
	return nil, nil
}

// kernel is the sysfs of a kernel that has mapped an image of the pool vms, and a snapshot of backup/tenant-a/nightly image.
const kernel = "../krbd/testdata/linux/6.1/two"

// mapped is that image.
const mapped = "381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0"

func device(pool, namespace, name string) ceph.Device {
	return ceph.Device{Image: ceph.Image{Pool: pool, Namespace: namespace, Name: name}, User: "instances"}
}

// watchedBy is what rbd says when a client has an image open.
func watchedBy(address string) string { return `{"watchers":[{"address":"` + address + `"}]}` }

// kernelFSID is the cluster of these images, and kernelClient the client behind the first.
const (
	kernelFSID   = "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21"
	kernelClient = "192.0.2.11:0/3562049007"
)

func TestMap(t *testing.T) {
	const fsid = "ceph --admin-socket= --id instances fsid --format json"
	for _, test := range []struct {
		name   string
		device ceph.Device
		record *record
		// options are those that it was mapped with.
		options       string
		watcher, fsid string
		want          string
		foreign       bool
		mapping, back []string
	}{
		{
			name: "it is mapped", device: device("vms", "", mapped), record: &record{Device: "rbd0", Client: kernelClient}, watcher: kernelClient, want: "/dev/rbd0",
			mapping: []string{"status --format json vms/" + mapped}, back: []string{"device unmap /dev/rbd0"},
		},
		{
			name: "it is mapped, and who did it was killed", device: device("vms", "", mapped), record: &record{}, watcher: kernelClient, want: "/dev/rbd0", options: "name=instances,key=client.instances,noshare",
			mapping: []string{"status --format json vms/" + mapped}, back: []string{"device unmap /dev/rbd0"},
		},
		{
			name: "it is mapped by a client that was kept out", device: device("vms", "", mapped), record: &record{Device: "rbd0", Client: kernelClient}, want: "/dev/rbd7",
			mapping: []string{"status --format json vms/" + mapped, "device unmap /dev/rbd0", "device map --options noshare vms/" + mapped},
		},
		{name: "it is mapped by hand", device: device("vms", "", mapped), fsid: kernelFSID, foreign: true, mapping: []string{fsid}},
		{
			name: "it is mapped by hand where we have mapped it before", device: device("vms", "", mapped), fsid: kernelFSID, foreign: true, mapping: []string{fsid},
			record: &record{Device: "rbd0", Client: "192.0.2.11:0/1"},
		},
		{
			name: "it is mapped by hand, and who was to do it before was killed", device: device("vms", "", mapped), fsid: kernelFSID, foreign: true, mapping: []string{fsid},
			record: &record{}, options: "name=noshare,key=client.noshare",
		},
		{
			name: "another cluster's is", device: device("vms", "", mapped), fsid: "b7f1", want: "/dev/rbd7",
			mapping: []string{fsid, "device map --options noshare vms/" + mapped},
		},
		{name: "it is not", device: device("vms", "", "other"), want: "/dev/rbd7", mapping: []string{"device map --options noshare vms/other"}},
		{
			name: "only a snapshot of another is", device: device("backup", "tenant-a", "nightly"), want: "/dev/rbd7",
			mapping: []string{"device map --options noshare backup/tenant-a/nightly"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &recording{answers: map[string]string{"device map": "/dev/rbd7\n", "status": watchedBy(test.watcher), "fsid": `{"fsid":"` + test.fsid + `"}`}}
			h := New(r)
			h.Sysfs, h.Run = mappedWith(t, test.options), filepath.Join(t.TempDir(), "run")
			if test.record != nil {
				if err := h.remember(test.device, *test.record); err != nil {
					t.Fatal(err)
				}
			}
			got, err := h.Map(t.Context(), test.device)
			if got != test.want || Is(err, CaseForeign) != test.foreign || err != nil && !test.foreign {
				t.Errorf("mapped as %s, %v, want %s", got, err, test.want)
			}
			if diff := cmp.Diff(test.mapping, r.ran); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
			r.ran = nil
			if err := h.Unmap(t.Context(), test.device); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.back, r.ran); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
			if left, err := os.ReadDir(h.Run); len(left) > 0 {
				t.Errorf("remembered still: %v, %v", left, err)
			}
		})
	}
}

// mappedWith is the sysfs of a kernel that says, too, with which options it was asked to map the image.
func mappedWith(t *testing.T, options string) string {
	t.Helper()
	sysfs := t.TempDir()
	if err := os.CopyFS(sysfs, os.DirFS(kernel)); err != nil {
		t.Fatal(err)
	}
	asked := "192.0.2.1:6789 " + options + " vms " + mapped + " -\n"
	if err := os.WriteFile(filepath.Join(sysfs, "devices/rbd/0/config_info"), []byte(asked), 0o400); err != nil {
		t.Fatal(err)
	}
	return sysfs
}

// What was mapped is told by its device and client from what is mapped later.
func TestNoteMapping(t *testing.T) {
	h := New(&recording{answers: map[string]string{"device map": "/dev/rbd0\n", "fsid": `{"fsid":"b7f1"}`}})
	h.Sysfs, h.Run = kernel, t.TempDir()
	d := device("vms", "", mapped)
	if _, err := h.Map(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	m, own, err := h.Mapping(t.Context(), d)
	if err != nil || !own || m.ClientAddr != kernelClient {
		t.Fatalf("mapping %+v, %t, %v", m, own, err)
	}
	m.ClientAddr = "192.0.2.11:0/1"
	if own, err := h.isOwn(d, m); own || err != nil {
		t.Errorf("a later mapping is ours: %t, %v", own, err)
	}
}

// TestOtherConf takes the block device of a disk away whatever its ceph.conf is called meanwhile, and leaves what another disk has
// of an image of this name in another cluster.
func TestOtherConf(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "new.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, conf, disk string
		own              bool
		unmap            string
	}{
		{"another", conf, "disk-1", true, "rbd --admin-socket= --conf " + conf + " --id instances device unmap /dev/rbd0"},
		{"one that is not there", filepath.Join(dir, "gone.conf"), "disk-1", true, "device unmap /dev/rbd0"},
		{"that of another disk", conf, "disk-2", false, ""},
		{"of a disk without a name", conf, "", false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &recording{answers: map[string]string{"fsid": `{"fsid":"b7f1"}`}}
			h := New(r)
			h.Sysfs, h.Run = kernel, filepath.Join(t.TempDir(), "run")
			d := device("vms", "", mapped)
			d.Conf, d.Disk = filepath.Join(dir, "old.conf"), "disk-1"
			if err := h.remember(d, record{Device: "rbd0", Client: kernelClient}); err != nil {
				t.Fatal(err)
			}
			d.Conf, d.Disk = test.conf, test.disk
			if m, own, err := h.Mapping(t.Context(), d); err != nil || own != test.own || (m != nil) != test.own {
				t.Errorf("mapping %v, own %t, %v", m, own, err)
			}
			r.ran = nil
			if err := h.Unmap(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(r.ran, "; "); got != test.unmap {
				t.Errorf("ran %s, want %s", got, test.unmap)
			}
			if left, err := os.ReadDir(h.Run); (len(left) == 0) != test.own || err != nil {
				t.Errorf("remembered still: %v, %v", left, err)
			}
		})
	}
}

// What the kernel can't do is told with its cause, also when only the attempt shows it.
func TestMapFails(t *testing.T) {
	const info = `{"id":"1","size":1,"format":2,"features":["layering","exclusive-lock","journaling"]}`
	sysfs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(sysfs, "bus/rbd/devices"), 0o755); err != nil {
		t.Fatal(err)
	}
	// As Linux 6.1 says it.
	if err := os.WriteFile(filepath.Join(sysfs, "bus/rbd/supported_features"), []byte("0x1bf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		device     ceph.Device
		kind, want string
	}{
		{device("vms", "", "disk"), CaseFeatures, "does not know features of image vms/disk: journaling"},
		{device("vms", "", "my disk"), CaseName, "has a space in its name"},
	} {
		h := New(&recording{answers: map[string]string{"info": info}, fail: "device map"})
		h.Sysfs, h.Run = sysfs, t.TempDir()
		if _, err := h.Map(t.Context(), test.device); !Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
	h := New(&recording{fail: "unmap"})
	h.Sysfs, h.Run = kernel, t.TempDir()
	if err := h.remember(device("vms", "", mapped), record{Device: "rbd0", Client: kernelClient}); err != nil {
		t.Fatal(err)
	}
	if err := h.Unmap(t.Context(), device("vms", "", mapped)); !Is(err, CaseBusy) {
		t.Errorf("error %v, want one about who uses it", err)
	}
}

func TestCheckFeatures(t *testing.T) {
	for _, test := range []struct {
		known, features string
		want            string
	}{
		{known: "0x1bf", features: `"layering","exclusive-lock","object-map","fast-diff","deep-flatten"`},
		{known: "0x7", features: `"layering","exclusive-lock","object-map","fast-diff"`, want: "rbd feature disable vms/disk object-map fast-diff"},
		{known: "", features: `"journaling"`}, // the module is not loaded
		{known: "many", features: `"layering"`, want: "which features of images it knows"},
		{known: "0x1bf", features: `"levitation"`, want: `"levitation" is none that is known`},
	} {
		h := New(&recording{answers: map[string]string{"info": `{"id":"1","size":1,"format":2,"features":[` + test.features + `]}`}})
		h.Sysfs = t.TempDir()
		if test.known != "" {
			if err := os.MkdirAll(filepath.Join(h.Sysfs, "bus/rbd"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.Sysfs, "bus/rbd/supported_features"), []byte(test.known+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := h.CheckFeatures(t.Context(), device("vms", "", "disk"))
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %s: error %v, want %q", test.known, test.features, err, test.want)
		}
	}
}
