package lab

import (
	"os"
	"os/exec"
)

// Test is what of a [testing.TB] is needed. The package testing itself would be compiled into the demo.
type Test interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Require skips the test when one of the programs is not installed. In CI (CI=true) it fails instead.
func Require(t Test, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and CI=true: run e2e/setup.sh", program)
		}
		t.Skipf("%s is not installed: run e2e/setup.sh", program)
	}
}

// RequireCeph is Require for what StartCeph needs.
func RequireCeph(t Test) {
	t.Helper()
	Require(t, "ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "rbd", "ceph-authtool", "monmaptool", "setsid")
}

// RequireGuest is Require for what StartGuest needs besides.
func RequireGuest(t Test) {
	t.Helper()
	Require(t, "qemu-system-x86_64")
}

// RequireNodes is Require for what StartNodes needs, and requires root.
func RequireNodes(t Test) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("nodes need root, and CI=true")
		}
		t.Skipf("nodes need root: run make e2e")
	}
	Require(t, "systemd-nspawn", "debootstrap", "ip", "nsenter", "unshare", "setsid", "ssh-keygen")
}

// RequireVM is RequireNodes, and requires what a VM needs besides.
func RequireVM(t Test) {
	t.Helper()
	RequireNodes(t)
	Require(t, "qemu-system-x86_64", "ssh", "mkfs.ext4", "dpkg-deb", "apt-get")
}
