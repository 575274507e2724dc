package guest

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// Of a guest of Ganeti's that runs, its runtime file and QEMU say what it was started with and has now.
func TestAsStarted(t *testing.T) {
	run := t.TempDir()
	device := filepath.Join(run, "rbd7")
	r := &Request{RunDir: run, Ganeti: true, Instance: control.Instance{Name: "web1.lab"}, Disks: []control.DiskSpec{
		{Disk: control.Disk{UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53"}}, {Disk: control.Disk{UUID: "b3d7c340-57b1-48fe-b74d-c77d870a94b8"}},
	}}
	file := `[[], [], {}, [
		[{"uuid": "f42e5100-476a-4674-ab6c-1aedf73dec53", "dev_type": "rbd", "params": {"access": "userspace"}, "hvinfo": {"id": "disk-f42e5100-476a-4674"}}, "` + device + `", "rbd:vms/disk0"],
		[{"uuid": "b3d7c340-57b1-48fe-b74d-c77d870a94b8", "dev_type": "rbd", "params": {"access": "kernelspace"}}, "/no/such", null]]]`
	path := kvm.GanetiDir(run).RuntimeFile("web1.lab")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{path: file, device: ""} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &Look{Disks: make([]DiskLook, 2), Guest: &kvm.Status{PID: 7, Drives: []kvm.DriveStatus{
		{Names: []string{"disk-f42e5100-476a-4674"}, Driver: "rbd", Cache: "none", Open: "rbd:vms/disk0"},
		{Names: []string{"disk-00000000-476a-4674"}, Driver: "rbd", Open: "rbd:vms/gone"},
		{Names: []string{"floppy0"}},
	}}}
	Handler{}.asStarted(r, l)
	want := &Look{Guest: l.Guest, Stray: []string{"rbd:vms/gone"}, Disks: []DiskLook{
		{ImageState: control.ImageState{Mapped: device}, Path: "rbd:vms/disk0", Access: "userspace", Cache: "none", Driver: "rbd", Open: "rbd:vms/disk0"},
		{Path: "/no/such", Access: "kernelspace"},
	}}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Errorf("look (-want +got):\n%s", diff)
	}
	if image := l.Lost(r); image != "" {
		t.Errorf("a guest of Ganeti's, which claims nothing, has lost %s", image)
	}
}

// A guest that hangs is told of in bounded time, and stays one that runs.
func TestLookAtGuestThatHangs(t *testing.T) {
	h := handler(t, &shelf{})
	for name, content := range map[string]string{
		"proc/net/unix": "", "proc/8/cmdline": "qemu-system-x86_64\x00-name\x00guest=web1\x00", "run/kvm/pid/web1": "8\n",
	} {
		path := filepath.Join(h.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		l, err := h.look(t.Context(), &Request{RunDir: filepath.Join(h.Root, "run"), Instance: control.Instance{Name: "web1"}})
		if err != nil || l.Guest == nil || l.Guest.PID != 8 || l.Problem != "ask QEMU: no answer within 10s" {
			t.Errorf("look %+v, %v", l, err)
		}
		if waited := time.Since(begun); waited > statusTimeout {
			t.Errorf("waited for %s", waited)
		}
	})
}
