package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

func TestWriteAlerts(t *testing.T) {
	const one = `{"metric":{"alertname":"LoopbackCritical","alertstate":"pending","device":"rbd0","instance":"n1"},"value":[1,"1"]}`
	for _, tc := range []struct{ result, want string }{
		{"", "\nAlerts, URL/alerts: none fires\n"},
		{one, "\nAlerts, URL/alerts:\n  LoopbackCritical is pending for rbd0 on n1\n"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"data":{"result":[` + tc.result + `]}}`))
		}))
		t.Cleanup(server.Close)
		var out strings.Builder
		if err := (&demo{prometheus: &lab.Prometheus{URL: server.URL}}).writeAlerts(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, strings.ReplaceAll(out.String(), server.URL, "URL")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
