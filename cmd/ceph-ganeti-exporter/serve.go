package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	versions "github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
)

// gcPercent is how much garbage the heap may hold, in percent of what is in use; GOGC overrules it. Half of Go's own
// default: the node's memory is for its guests, and a scrape every few seconds makes the collections cheap.
const gcPercent = 50

// shutdownTime is how long a scrape that is under way may take to end.
const shutdownTime = 10 * time.Second

// serve answers HTTP until ctx ends.
func serve(ctx context.Context, c *config, args []string) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	log, err := c.logger()
	if err != nil {
		return err
	}
	log.Info("starting "+program, "version", versions.Info())
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s := newServer(log)
	s.use(c)
	defer s.close()
	log.Info("collectors", "enabled", s.current.exporter.Names())

	routes, err := s.routes(c)
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() {
		served <- web.ListenAndServe(httpServer, &web.FlagConfig{
			WebListenAddresses: &c.Listen,
			WebSystemdSocket:   &c.SystemdSocket,
			WebConfigFile:      &c.WebConfig,
		}, log)
	}()
	for {
		select {
		case <-hangups:
			s.reload(c, args)
		case err := <-served:
			return fmt.Errorf("serve HTTP: %w", err)
		case <-ctx.Done():
			log.Info("ending")
			return end(log, httpServer, shutdownTime)
		}
	}
}

// end lets the scrapes that are under way complete, and breaks those off that take too long.
func end(log *slog.Logger, s *http.Server, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("breaking off the scrapes that have not ended", "after", patience)
		err = s.Close()
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("end HTTP server: %w", err)
	}
	return nil
}
