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

func TestMap(t *testing.T) {
	for _, test := range []struct {
		name          string
		device        ceph.Device
		watcher       string
		want          string
		mapping, back []string
	}{
		{
			name: "it is mapped", device: device("vms", "", mapped), watcher: "192.0.2.11:0/3562049007", want: "/dev/rbd0",
			mapping: []string{"status --format json vms/" + mapped}, back: []string{"device unmap /dev/rbd0"},
		},
		{
			name: "it is mapped by a client that was kept out", device: device("vms", "", mapped), want: "/dev/rbd7",
			mapping: []string{"status --format json vms/" + mapped, "device unmap /dev/rbd0", "device map --options noshare vms/" + mapped},
			back:    []string{"device unmap /dev/rbd0"},
		},
		{name: "it is not", device: device("vms", "", "other"), want: "/dev/rbd7", mapping: []string{"device map --options noshare vms/other"}},
		{
			name: "only a snapshot of another is", device: device("backup", "tenant-a", "nightly"), want: "/dev/rbd7",
			mapping: []string{"device map --options noshare backup/tenant-a/nightly"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &recording{answers: map[string]string{"device map": "/dev/rbd7\n", "status": watchedBy(test.watcher)}}
			h := New(r)
			h.Sysfs = kernel
			got, err := h.Map(t.Context(), test.device)
			if got != test.want || err != nil {
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
		h.Sysfs = sysfs
		if _, err := h.Map(t.Context(), test.device); !Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
	h := New(&recording{fail: "unmap"})
	h.Sysfs = kernel
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
