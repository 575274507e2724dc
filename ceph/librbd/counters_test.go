package librbd

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readDump(tb testing.TB, release string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/ceph", release, "perf_dump.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	tests := map[string][]Counters{
		"16.2": {{
			ID: "1027619953ff", name: "vms-disk0",
			Read:  Operations{Count: 3, Bytes: 1032, Done: 3},
			Flush: Operations{Count: 1, Done: 1},
		}},
		"18.2": {{
			ID: "10c6d6f382b8", name: "vms-qemu10-boot",
			Read:  Operations{Count: 98, Bytes: 49672, Done: 98, Seconds: 0.156000003},
			Write: Operations{Count: 95, Bytes: 48640, Done: 95, Seconds: 0.308000011},
			Flush: Operations{Count: 96, Done: 96},
		}},
		"20.2": {{
			ID: "10409221dbf", name: "vms-qemu11-boot",
			Read:  Operations{Count: 1678, Bytes: 858632, Done: 1678, Seconds: 2.464000085},
			Write: Operations{Count: 1675, Bytes: 857600, Done: 1674, Seconds: 6.860000226},
			Flush: Operations{Count: 1675, Done: 1675, Seconds: 0.156000004},
		}},
	}
	var parser Parser
	for release, want := range tests {
		got, err := parser.Parse(readDump(t, release))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, append([]Counters{}, got...), cmp.AllowUnexported(Counters{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", release, diff)
		}
	}
}

func TestParseOddDumps(t *testing.T) {
	var parser Parser
	for _, dump := range []string{"", "[]", "7", "{", "ERROR: (22) Invalid argument"} {
		if got, err := parser.Parse([]byte(dump)); !errors.Is(err, ErrDump) {
			t.Errorf("%q: got %v and error %v, want ErrDump", dump, got, err)
		}
	}
	got, err := parser.Parse([]byte(`{"librbd-": {}, "librbd-1-p-i": {"rd": "x", "rd_latency": 7}, "librbd-2-p-i": [], "objecter": {}}`))
	if err != nil || len(got) != 1 || got[0].ID != "1" {
		t.Errorf("got %+v and error %v, want the one with id 1", got, err)
	}
}

func TestOf(t *testing.T) {
	c := Counters{name: "my-pool-my-image"}
	for _, test := range []struct {
		pool, image string
		want        bool
	}{
		{"my-pool", "my-image", true},
		{"my", "pool-my-image", true},
		{"my-pool", "image", false},
		{"my-pool-my-image", "", false},
		{"", "", false},
	} {
		if got := c.Of(test.pool, test.image); got != test.want {
			t.Errorf("of %s/%s: got %v, want %v", test.pool, test.image, got, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(readDump(f, "18.2"))
	var parser Parser
	f.Fuzz(func(t *testing.T, dump []byte) { parser.Parse(dump) })
}
