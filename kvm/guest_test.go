package kvm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeProcess puts a process into a fake procfs, with a name that parsers of stat like least.
func writeProcess(t *testing.T, procfs string, p Process, cmdline string) {
	t.Helper()
	dir := filepath.Join(procfs, strconv.Itoa(p.PID))
	write(t, filepath.Join(dir, "stat"), fmt.Sprintf("%d (qemu (x) 86) S 1 28521 28521 0 -1 138412480 3368 0 1 0 4 9 0 0 "+
		"20 0 4 0 %d 1484890112 6844 18446744073709551615 1 1 0 0\n", p.PID, p.Start))
	write(t, filepath.Join(dir, "cmdline"), cmdline)
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	procfs := filepath.Join(root, "proc")
	ganeti, cephctl := GanetiDir(filepath.Join(root, "ganeti")), CephctlDir(filepath.Join(root, "cephctl"))
	start := func(dir Dir, instance string, p Process, cmdline string) {
		write(t, dir.PIDFile(instance), strconv.Itoa(p.PID)+"\n")
		writeProcess(t, procfs, p, cmdline)
	}
	start(ganeti, "inst1.lab", Process{4432, 147471}, "/usr/bin/kvm\x00-name\x00inst1.lab\x00-m\x0064\x00")
	start(ganeti, "inst2.lab", Process{4433, 2}, "kvm\x00-name\x00inst2.lab,debug-threads=on\x00")
	start(ganeti, "reused.lab", Process{4434, 3}, "sleep\x00inf\x00")
	start(ganeti, "other.lab", Process{4435, 4}, "kvm\x00-name\x00inst9.lab\x00")
	start(ganeti, "zombie.lab", Process{4437, 6}, "")
	write(t, ganeti.PIDFile("dead.lab"), "4711\n")
	write(t, ganeti.PIDFile("starting.lab"), "")
	start(cephctl, "inst3.lab", Process{4436, 5}, "qemu\x00-m\x001\x00-name\x00guest=inst3.lab,process=x\x00")
	start(cephctl, "inst1.lab", Process{4438, 7}, "qemu\x00-name\x00inst1.lab\x00")

	finder := NewFinder(procfs, ganeti, cephctl)
	want := []Guest{
		{"inst1.lab", ganeti, Process{4432, 147471}},
		{"inst2.lab", ganeti, Process{4433, 2}},
		{"inst3.lab", cephctl, Process{4436, 5}},
	}
	for range 2 {
		got, err := finder.Find()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("guests differ (-want +got):\n%s", diff)
		}
	}

	writeProcess(t, procfs, Process{4432, 999999}, "sleep\x00inf\x00")
	got, err := finder.Find()
	if err != nil {
		t.Fatal(err)
	}
	want = []Guest{want[1], {"inst1.lab", cephctl, Process{4438, 7}}, want[2]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("guests after the pid was used again (-want +got):\n%s", diff)
	}
}

// A panic while processes are looked at is one of the caller's, who may recover, and not the end of the program.
func TestFindPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	(*Finder)(nil).fill(make([]Guest, 2*finders))
}

func TestFindWithoutDirectories(t *testing.T) {
	if _, err := NewFinder("/proc", Dir(t.TempDir())).Find(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestFindReportsBrokenProcess(t *testing.T) {
	root := t.TempDir()
	dir := Dir(root)
	write(t, dir.PIDFile("inst1.lab"), "4432")
	write(t, filepath.Join(root, "proc/4432/stat"), "4432 (qemu) S 1\n")
	if guests, err := NewFinder(filepath.Join(root, "proc"), dir).Find(); err == nil || len(guests) != 0 {
		t.Errorf("got %v and error %v, want an error and no guest", guests, err)
	}
}

func TestParseGuestName(t *testing.T) {
	for cmdline, want := range map[string]string{
		"kvm\x00-name\x00inst1\x00":                        "inst1",
		"kvm\x00--name\x00inst1\x00":                       "inst1",
		"kvm\x00-name\x00debug-threads=on,guest=inst1\x00": "inst1",
		"kvm\x00-name\x00debug-threads=on\x00":             "",
		"kvm\x00-name":                                     "",
		"kvm\x00-name\x00":                                 "",
		"":                                                 "",
		"sh\x00-c\x00kvm -name inst1\x00":                  "",
		"kvm\x00-name\x00inst1,guest=inst2,process=p\x00-S": "inst2",
	} {
		if got := parseGuestName(cmdline); got != want {
			t.Errorf("%q: got %q, want %q", cmdline, got, want)
		}
	}
}

func FuzzParseGuestName(f *testing.F) {
	f.Add("kvm\x00-name\x00guest=inst1,debug-threads=on\x00")
	f.Fuzz(func(t *testing.T, cmdline string) { parseGuestName(cmdline) })
}

func FuzzParseStart(f *testing.F) {
	f.Add([]byte("1 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\n"))
	f.Fuzz(func(t *testing.T, stat []byte) { parseStart(stat) })
}
