package kvm

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUnix(t *testing.T) {
	data, err := os.ReadFile("testdata/linux/6.18/net_unix")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Use{
		"/var/run/ganeti/kvm-hypervisor/ctrl/inst1.lab.kvmd": {Listening: true},
		"/var/run/ganeti/kvm-hypervisor/ctrl/inst1.lab.qmp":  {Listening: true, Accepted: []uint64{92489}, Queued: 1},
	}
	if diff := cmp.Diff(want, ParseUnix(data)); diff != "" {
		t.Errorf("uses differ (-want +got):\n%s", diff)
	}
}

func TestUseAnd(t *testing.T) {
	first := Use{Accepted: []uint64{1, 2}, Queued: 1}
	second := Use{Listening: true, Accepted: []uint64{2, 3}, Queued: 2}
	want := Use{Listening: true, Accepted: []uint64{1, 2, 3}, Queued: 2}
	if diff := cmp.Diff(want, first.and(second)); diff != "" {
		t.Errorf("both together (-want +got):\n%s", diff)
	}
}

func TestParseUnixOddLines(t *testing.T) {
	for name, line := range map[string]string{
		"abstract":     "0: 00000002 00000000 00010000 0001 01 12 @/run/a.qmp",
		"short":        "0: 00000002 00010000 /run/a.qmp",
		"other state":  "0: 00000002 00000000 00000000 0001 04 12 /run/a.qmp",
		"inode":        "0: 00000002 00000000 00000000 0001 03 xx /run/a.qmp",
		"other socket": "0: 00000002 00000000 00010000 0001 01 12 /run/a.monitor",
		"empty":        "",
	} {
		if got := ParseUnix([]byte(line + "\n")); len(got) != 0 {
			t.Errorf("%s: got %v, want none", name, got)
		}
	}
	got := ParseUnix([]byte("0: 00000002 00000000 00010000 0001 01 12 /run/a b.qmp"))
	if want := map[string]Use{"/run/a b.qmp": {Listening: true}}; !cmp.Equal(want, got) {
		t.Errorf("path with a blank: got %v, want %v", got, want)
	}
}

func FuzzParseUnix(f *testing.F) {
	data, err := os.ReadFile("testdata/linux/6.18/net_unix")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		for path, use := range ParseUnix(data) {
			if path == "" || !use.Listening && use.Queued == 0 && len(use.Accepted) == 0 {
				t.Errorf("use of %q says nothing: %+v", path, use)
			}
		}
	})
}
