package main

import (
	"fmt"
	"net/http"

	versions "github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
)

// routes says what is served where.
func (s *server) routes(c *config) (http.Handler, error) {
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        program,
		Description: "Ceph daemons, RBD images and QEMU guests of this Ganeti node",
		Version:     versions.Info(),
		Profiling:   "false",
		Links: []web.LandingLinks{
			{Address: c.TelemetryPath, Text: "Metrics"},
			{Address: "/1/report/storage/ceph", Text: "Report", Description: "in the form of Ganeti's monitoring daemon"},
			{Address: "/-/healthy", Text: "Healthy"},
			{Address: "/-/ready", Text: "Ready"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make landing page: %w", err)
	}
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) }
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+c.TelemetryPath, s)
	mux.Handle("GET /1/", s.reports())
	mux.Handle("GET /-/healthy", say("healthy"))
	mux.Handle("GET /-/ready", say("ready"))
	mux.Handle("GET /{$}", landing)
	return mux, nil
}
