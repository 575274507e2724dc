package krbd

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseParents(t *testing.T) {
	const (
		golden = "pool_id 4\npool_name golden images\npool_ns \nimage_id 11b32eb141f2\nimage_name debian\nsnap_id 4\nsnap_name base\noverlap 67108864\n"
		older  = "pool_id 2\npool_name vms\npool_ns tenant\nimage_id 10a6f2a2b3c4\nimage_name old\nsnap_id 3\nsnap_name v1\noverlap 33554432\n"
		ended  = "pool_id 2\npool_name vms\npool_ns \nimage_id 10a6f2a2b3c4\nimage_name old\nsnap_id 3\nsnap_name v1\noverlap 0\n"
	)
	first, second := Parent{"golden images", 4, "11b32eb141f2"}, Parent{"vms", 2, "10a6f2a2b3c4"}
	for name, tc := range map[string]struct {
		text string
		want []Parent
	}{
		"none":                       {"(no parent image)\n", nil},
		"one":                        {golden, []Parent{first}},
		"two":                        {golden + "\n" + older, []Parent{first, second}},
		"flattened":                  {ended, nil},
		"parent flattened":           {golden + "\n" + ended, []Parent{first}},
		"flattened, and its parents": {ended + "\n" + golden, nil},
		"kernel before 4.20":         {"pool_id 2\npool_name vms\nimage_id 10a6f2a2b3c4\nimage_name (unknown)\nsnap_id 3\nsnap_name v1\noverlap 4096\n", []Parent{second}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseParents(tc.text)
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("err %v (-want +got):\n%s", err, diff)
			}
		})
	}
	if _, err := parseParents("pool_id many\n"); err == nil {
		t.Error("no error for an id that is no number")
	}
}
