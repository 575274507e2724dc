package lab

import (
	"bytes"
	"os"
	"testing"
)

// testGuests runs a guest in each of the two forms.
func testGuests(t *testing.T, ceph *Ceph) {
	for _, blockdev := range []bool{false, true} {
		name := map[bool]string{false: "drive", true: "blockdev"}[blockdev]
		t.Run(name, func(t *testing.T) {
			const size = 16
			disks := []Disk{{"vms", name + ".disk0"}, {"vms", name + ".disk1"}}
			if err := ceph.CreateBootImage(t.Context(), "vms", disks[0].Image, size, false); err != nil {
				t.Fatal(err)
			}
			if err := ceph.CreateImage(t.Context(), "vms", disks[1].Image, 16); err != nil {
				t.Fatal(err)
			}
			guest, err := ceph.StartGuest(t.Context(), GuestOptions{Name: name + ".lab", Disks: disks, Blockdev: blockdev})
			if err != nil {
				t.Fatal(err)
			}
			if err := guest.WaitVerified(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(GuestQMP(ceph.GanetiRunDir, guest.Name)); err != nil {
				t.Error(err)
			}
			compareImage(t, ceph, "vms/"+disks[0].Image, size)
			if err := guest.Stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// compareImage looks from outside at what the guest has written.
func compareImage(t *testing.T, ceph *Ceph, image string, size int) {
	t.Helper()
	content, err := ceph.RBD(t.Context(), "export", "--no-progress", image, "-")
	if err != nil {
		t.Fatal(err)
	}
	if want := firstBlock + size<<20; len(content) != want {
		t.Fatalf("image has %d bytes, want %d", len(content), want)
	}
	for offset := firstBlock; offset < len(content); offset += blockSize {
		if !bytes.Equal(content[offset:offset+blockSize], bootBlock(int64(offset))) {
			t.Fatalf("block at %d is not what the guest had to write", offset)
		}
	}
}
