package main

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"
	versions "github.com/prometheus/common/version"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// server holds what changes when the configuration is read anew.
type server struct {
	log     *slog.Logger
	process *prometheus.Registry

	sockets *adminsocket.Client
	// monitors is that of procfs.
	monitors *kvm.Sockets
	procfs   string
	// rest fires when no scrape has ended for a while.
	rest *time.Timer

	mu      sync.Mutex
	current *generation

	reloadSuccess prometheus.Gauge
	reloadTime    prometheus.Gauge
}

// generation is what was made from one reading of the configuration.
type generation struct {
	exporter *exporter.Exporter
	sources  *sources
	scrapes  sync.WaitGroup
}

// close ends a generation when its last scrape has ended.
func (g *generation) close(log *slog.Logger) {
	g.scrapes.Wait()
	if err := g.exporter.Close(); err != nil {
		log.Warn("collectors did not end in order", "err", err)
	}
	g.sources.close()
}

func newServer(log *slog.Logger) *server {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		version.NewCollector("ceph_ganeti_exporter"),
	)
	s := &server{log: log, process: reg, sockets: new(adminsocket.Client)}
	s.rest = time.AfterFunc(restAfter, debug.FreeOSMemory)
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

// use makes the collectors that c asks for and puts them in the place of those before, whose scrapes still
// complete.
func (s *server) use(c *config) {
	if s.monitors == nil || s.procfs != c.Procfs {
		s.monitors, s.procfs = kvm.NewSockets(c.Procfs), c.Procfs
	}
	next := &generation{sources: newSources(c, s.sockets, s.monitors)}
	next.exporter = exporter.New(exporter.Options{
		TargetTimeout: c.TargetTimeout,
		Process:       s.process,
		Log:           s.log,
	}, newCollectors(c, next.sources)...)
	s.mu.Lock()
	before := s.current
	s.current = next
	s.mu.Unlock()
	s.reloadSuccess.Set(1)
	s.reloadTime.SetToCurrentTime()
	if before != nil {
		go before.close(s.log)
	}
}

// close ends what the last use has made.
func (s *server) close() {
	s.rest.Stop()
	s.current.close(s.log)
}

// restAfter is how long after a scrape its memory goes back to the system, 10 MB of a full node's, which would else lie
// idle until the next one. Nobody waits then, and what it costs is in docs/performance.md.
const restAfter = time.Second

// reload reads the settings anew. When they are wrong, all stays as it is.
func (s *server) reload(first *config, args []string) {
	c, err := load(args)
	if err != nil {
		s.reloadSuccess.Set(0)
		s.log.Error("configuration stays as it was", "err", err)
		return
	}
	for name, value := range c.fixed {
		if value != first.fixed[name] {
			s.log.Warn("setting changes with a restart only", "setting", name, "now", first.fixed[name], "then", value)
		}
	}
	s.use(c)
	s.log.Info("configuration read anew", "collectors", s.current.exporter.Names())
}

// ServeHTTP serves the metrics with the collectors of now.
func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.serve(w, req, func(e *exporter.Exporter) http.Handler { return e })
}

// reports serves the same in the form of Ganeti's monitoring daemon.
func (s *server) reports() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.serve(w, req, func(e *exporter.Exporter) http.Handler { return e.ServeReport(versions.Version) })
	})
}

func (s *server) serve(w http.ResponseWriter, req *http.Request, handler func(*exporter.Exporter) http.Handler) {
	s.mu.Lock()
	g := s.current
	g.scrapes.Add(1)
	s.mu.Unlock()
	defer g.scrapes.Done()
	defer s.rest.Reset(restAfter)
	handler(g.exporter).ServeHTTP(w, req)
}
