package host_test

import (
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/host"
)

func TestSame(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"node1", "node1", true},
		{"node1.lab", "node1", true},
		{"node1", "node1.lab.", true},
		{"Node1.lab", "node1.LAB", true},
		{"node1.lab", "node1.example", false},
		{"node1", "node2", false},
		{"node1", "node10", false},
		{"", "", false},
		{"10.0.0.1", "10.0.0.2", false},
	}
	for _, test := range tests {
		if got := host.Same(test.a, test.b); got != test.want {
			t.Errorf("Same(%q, %q) = %t", test.a, test.b, got)
		}
	}
}

func TestShort(t *testing.T) {
	for name, want := range map[string]string{"node1.lab": "node1", "node1": "node1", "": ""} {
		if got := host.Short(name); got != want {
			t.Errorf("Short(%q) = %q, want %q", name, got, want)
		}
	}
}
