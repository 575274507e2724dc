package exporter

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"
)

func TestParseProcess(t *testing.T) {
	page := float64(os.Getpagesize())
	const rest = " S 1 2 3 0 -1 4 5 6 7 8 1234 567 11 12 20 0 63 0 9001 1073741824 262144 18446744073709551615 1"
	want := processUse{user: 12.34, system: 5.67, threads: 63, start: 90.01, virtual: 1 << 30, resident: 262144 * page}
	for _, data := range []string{"4711 (ceph-osd)" + rest, "4711 (a) b) (c" + ")" + rest + "\n", "4711 ()" + rest} {
		got, err := parseProcess([]byte(data))
		if err != nil {
			t.Errorf("%q: %v", data, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(processUse{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", data, diff)
		}
	}
	for _, data := range []string{"", "4711 (ceph-osd) S 1", "4711 (ceph-osd)" + rest[:60], "4711 (ceph-osd) " + "x x x x x x x x x x x x x x x x x x x x x x"} {
		if _, err := parseProcess([]byte(data)); !errors.Is(err, errProcessStat) {
			t.Errorf("%q: error = %v", data, err)
		}
	}
}

// This process, as the general reader sees it.
func TestReadProcess(t *testing.T) {
	got, err := readProcess("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	proc, err := procfs.Self()
	if err != nil {
		t.Fatal(err)
	}
	stat, err := proc.Stat()
	if err != nil {
		t.Fatal(err)
	}
	start, err := stat.StartTime()
	if err != nil {
		t.Fatal(err)
	}
	if ours := bootTime("/proc") + got.start; math.Abs(ours-start) > 1 {
		t.Errorf("start time %v, want %v", ours, start)
	}
	if got.user+got.system > stat.CPUTime()+1 || !(got.resident > 0) || !(got.virtual >= got.resident) || !(got.threads > 0) {
		t.Errorf("got %+v, want about %+v", got, stat)
	}
	if _, err := readProcess(t.TempDir(), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want %v", err, fs.ErrNotExist)
	}
}

func FuzzParseProcess(f *testing.F) {
	f.Add([]byte("1 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, data []byte) {
		use, err := parseProcess(data)
		if err == nil && (use.user < 0 || use.resident < 0) {
			t.Errorf("%q gives %+v", data, use)
		}
	})
}
