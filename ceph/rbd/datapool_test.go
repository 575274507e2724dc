package rbd

import "testing"

func TestParsePlacement(t *testing.T) {
	number := func(n byte) []byte { return []byte{n, 0, 0, 0, 0, 0, 0, 0} }
	for name, tc := range map[string]struct {
		values map[string][]byte
		want   Placement
		fails  bool
	}{
		"own pool":                 {values: map[string][]byte{"features": number(0x3d)}, want: Placement{Features: 0x3d}},
		"data pool":                {values: map[string][]byte{"features": number(0xbd), "data_pool_id": number(7)}, want: Placement{0xbd, 7}},
		"left of an old data pool": {values: map[string][]byte{"features": number(1), "data_pool_id": number(7)}, want: Placement{Features: 1}},
		"no features":              {values: map[string][]byte{}, fails: true},
		"short features":           {values: map[string][]byte{"features": {1}}, fails: true},
		"no data pool":             {values: map[string][]byte{"features": number(0xbd)}, fails: true},
		"short data pool":          {values: map[string][]byte{"features": number(0xbd), "data_pool_id": {7}}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parsePlacement(tc.values)
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}
