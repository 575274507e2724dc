package rbd

import "testing"

func TestValidFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		flags []byte
		want  bool
	}{
		"never set":          {nil, true},
		"valid":              {[]byte{0, 0, 0, 0, 0, 0, 0, 0}, true},
		"object map invalid": {[]byte{1, 0, 0, 0, 0, 0, 0, 0}, false},
		"fast-diff invalid":  {[]byte{2, 0, 0, 0, 0, 0, 0, 0}, false},
		"another flag":       {[]byte{4, 0, 0, 0, 0, 0, 0, 0}, true},
		"short":              {[]byte{0}, false},
	} {
		if got := validFlags(tc.flags); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
