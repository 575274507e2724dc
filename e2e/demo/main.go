// Command demo shows the exporter at work on real daemons: a Ceph cluster, a QEMU guest with steady I/O on an RBD
// disk, and Prometheus, all on this host, without root. It ends on Ctrl-C, or by itself with DEMO_SECONDS=n, and
// leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errStopped is the cause when the user ends the demo.
var errStopped = errors.New("stopped")

func main() {
	ctx, stop := notifyContext()
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// notifyContext returns a context that ends with errStopped when the process is asked to end.
func notifyContext() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errStopped)
	}()
	return ctx, func() { cancel(nil) }
}

func run(ctx context.Context) error {
	settings, err := readSettings()
	if err != nil {
		return err
	}
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := preflight(ctx, settings); err != nil {
		return err
	}
	d := &demo{settings: settings, progress: newProgress(os.Stdout)}
	// After Ctrl-C, too: what was started by then has to go.
	defer d.stop()
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.summarize(ctx, os.Stdout); err != nil {
		return err
	}
	d.wait(ctx)
	return nil
}

// wait returns when the demo is to end.
func (d *demo) wait(ctx context.Context) {
	var end <-chan time.Time
	if d.settings.duration > 0 {
		end = time.After(d.settings.duration)
	}
	select {
	case <-ctx.Done():
	case <-end:
	}
}
