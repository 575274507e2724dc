package lab

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrometheus(t *testing.T) {
	Require(t, "prometheus")
	p, err := StartPrometheus(t.Context(), PrometheusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	samples, err := p.Query(t.Context(), `label_replace(vector(42), "a", "b", "", "")`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Sample{{Labels: map[string]string{"a": "b"}, Value: "42"}}
	if diff := cmp.Diff(want, samples); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	if _, err := p.Query(t.Context(), "1 +"); err == nil {
		t.Error("no error for a broken expression")
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}
