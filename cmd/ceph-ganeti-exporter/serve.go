package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"
	versions "github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// shutdownTime is how long a scrape that is under way may take to end.
const shutdownTime = 10 * time.Second

// server holds what changes when the configuration is read anew.
type server struct {
	log     *slog.Logger
	process *prometheus.Registry
	current atomic.Pointer[exporter.Exporter]

	reloadSuccess prometheus.Gauge
	reloadTime    prometheus.Gauge
}

func newServer(log *slog.Logger) *server {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		version.NewCollector("ceph_ganeti_exporter"),
	)
	s := &server{log: log, process: reg}
	s.reloadSuccess = promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "ceph_ganeti_exporter_config_last_reload_successful",
		Help: "Whether the last reading of the configuration succeeded.",
	})
	s.reloadTime = promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "ceph_ganeti_exporter_config_last_reload_success_timestamp_seconds",
		Help: "When the configuration was last read with success.",
	})
	return s
}

// use makes the collectors that c asks for and puts them in the place of those before.
func (s *server) use(c *config) {
	before := s.current.Swap(exporter.New(exporter.Options{
		TargetTimeout: c.TargetTimeout,
		Process:       s.process,
		Log:           s.log,
	}, newCollectors(c)...))
	s.reloadSuccess.Set(1)
	s.reloadTime.SetToCurrentTime()
	if before != nil {
		if err := before.Close(); err != nil {
			s.log.Warn("earlier collectors did not end in order", "err", err)
		}
	}
}

// reload reads the settings anew. When they are wrong, all stays as it is.
func (s *server) reload(args []string) {
	c, err := loadAgain(args)
	if err != nil {
		s.reloadSuccess.Set(0)
		s.log.Error("configuration stays as it was", "err", err)
		return
	}
	s.use(c)
	s.log.Info("configuration read anew", "collectors", s.current.Load().Names())
}

// serve answers HTTP until ctx ends.
func serve(ctx context.Context, c *config, args []string) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	log.Info("starting "+program, "version", versions.Info())
	s := newServer(log)
	s.use(c)
	defer func() { s.current.Load().Close() }()
	log.Info("collectors", "enabled", s.current.Load().Names())

	mux, err := s.routes(c)
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() {
		served <- web.ListenAndServe(httpServer, &web.FlagConfig{
			WebListenAddresses: &c.Listen,
			WebSystemdSocket:   &c.SystemdSocket,
			WebConfigFile:      &c.WebConfig,
		}, log)
	}()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			s.reload(args)
		case err := <-served:
			return fmt.Errorf("listen on %v: %w", c.Listen, err)
		case <-ctx.Done():
			log.Info("ending")
			shutdown, cancel := context.WithTimeout(context.Background(), shutdownTime)
			defer cancel()
			if err := httpServer.Shutdown(shutdown); err != nil && !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("end HTTP server: %w", err)
			}
			return nil
		}
	}
}

func (s *server) routes(c *config) (*http.ServeMux, error) {
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        program,
		Description: "Ceph daemons, RBD images and QEMU guests of this Ganeti node",
		Version:     versions.Info(),
		Profiling:   "false",
		Links: []web.LandingLinks{
			{Address: c.TelemetryPath, Text: "Metrics"},
			{Address: "/-/healthy", Text: "Healthy"},
			{Address: "/-/ready", Text: "Ready"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make landing page: %w", err)
	}
	ok := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+c.TelemetryPath, func(w http.ResponseWriter, req *http.Request) {
		s.current.Load().ServeHTTP(w, req)
	})
	mux.HandleFunc("GET /-/healthy", ok("healthy"))
	mux.HandleFunc("GET /-/ready", ok("ready"))
	mux.Handle("GET /{$}", landing)
	return mux, nil
}
