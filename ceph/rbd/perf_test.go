package rbd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

func TestParsePerf(t *testing.T) {
	for file, want := range map[string]Perf{
		"16.2/perf_image_counters.json": {Images: map[ceph.Image]IO{
			{Pool: "vms", Name: "img3"}:                    {Writes: 1895, WrittenBytes: 174981120, WriteTime: 502363993061},
			{Pool: "vms", Namespace: "ten", Name: "nsimg"}: {Writes: 2531, WrittenBytes: 10665984, WriteTime: 569063889499},
		}},
		"16.2/perf_image_counters_first.json": {Images: map[ceph.Image]IO{}},
		"20.2/perf_image_counters.json": {Images: map[ceph.Image]IO{
			{Pool: "vms", Name: "qemu11-boot"}: {
				Writes: 1787, Reads: 1788, WrittenBytes: 914944, ReadBytes: 915456, WriteTime: 4802789941, ReadTime: 619990560,
			},
		}},
	} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile("testdata/ceph/" + file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parsePerf(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePerfOddities(t *testing.T) {
	for name, tc := range map[string]struct {
		counters string
		want     Perf
		fail     bool
	}{
		"image made anew": {
			counters: `{"0/a":[1]},{"0/b":[2]},{"0/a":[3]},{"0/a":[4]}`,
			want:     Perf{Images: map[ceph.Image]IO{{Pool: "vms", Name: "b"}: {Writes: 2}}},
		},
		"slash in the name": {
			counters: `{"0/a/b":[1]}`,
			want:     Perf{Images: map[ceph.Image]IO{{Pool: "vms", Name: "a/b"}: {Writes: 1}}},
		},
		"negative and too few": {
			counters: `{"0/a":[-1]},{"0/b":[]}`,
			want:     Perf{Images: map[ceph.Image]IO{{Pool: "vms", Name: "a"}: {}, {Pool: "vms", Name: "b"}: {}}},
		},
		"unknown pool": {counters: `{"7/a":[1]}`, fail: true},
		"no name":      {counters: `{"0":[1]}`, fail: true},
		"broken":       {counters: `{"0/a":[1]`, fail: true},
		"not a number": {counters: `{"0/a":["x"]}`, fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parsePerf([]byte(`{"counter_descriptors":["write_ops"],"pool_descriptors":{"0":"vms"},"counters":[` + tc.counters + `]}`))
			if (err != nil) != tc.fail {
				t.Fatalf("err = %v, want failure %v", err, tc.fail)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePerfTruncated(t *testing.T) {
	var counters []string
	for i := range maxPerfImages {
		counters = append(counters, fmt.Sprintf(`{"0/img%d":[1]}`, i))
		got, err := parsePerf([]byte(`{"pool_descriptors":{"0":"vms"},"counters":[` + strings.Join(counters, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if full := len(counters) == maxPerfImages; got.Truncated != full {
			t.Errorf("with %d images truncated = %v", len(counters), got.Truncated)
		}
	}
}

func FuzzParsePerf(f *testing.F) {
	for _, file := range []string{"16.2/perf_image_counters.json", "16.2/perf_image_counters_first.json", "20.2/perf_image_counters.json"} {
		text, err := os.ReadFile("testdata/ceph/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		perf, err := parsePerf(text)
		if err != nil && perf.Images != nil {
			t.Errorf("images beside an error: %v", perf)
		}
		for image := range perf.Images {
			if image.Name == "" {
				t.Errorf("image without a name in %+v", perf)
			}
		}
	})
}
