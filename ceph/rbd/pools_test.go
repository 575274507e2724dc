package rbd

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePools(t *testing.T) {
	answer, err := os.ReadFile("testdata/ceph/16.2/osd_pool_application_get.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		answer string
		want   []string
		fail   bool
	}{
		"16.2":     {answer: string(answer), want: []string{"other", "vms"}},
		"no pools": {answer: `{}`},
		"array":    {answer: `[]`, fail: true},
		"empty":    {answer: ``, fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parsePools([]byte(tc.answer))
			if (err != nil) != tc.fail {
				t.Fatalf("err = %v, want failure %v", err, tc.fail)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParsePools(f *testing.F) {
	f.Add([]byte(`{"vms":{"rbd":{}},"plain":{}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if pools, err := parsePools(answer); err != nil && pools != nil {
			t.Errorf("pools beside an error: %v", pools)
		}
	})
}
