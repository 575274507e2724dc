package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// minFree is the space that the demo asks for: what three OSDs may come to use, and some to spare.
const minFree = 4 << 30

// preflight names all that would keep the demo from running, before anything is started.
func preflight(ctx context.Context, s settings) error {
	return errors.Join(
		checkPort(ctx, s.exporter, "exporter", "DEMO_EXPORTER_PORT"),
		checkPort(ctx, s.prometheus, "Prometheus", "DEMO_PROMETHEUS_PORT"),
		checkSpace(os.TempDir()),
	)
}

func checkPort(ctx context.Context, port int, user, variable string) error {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d (%s) is taken: free it, or set %s to another", port, user, variable)
	case err != nil:
		return fmt.Errorf("listen on %s (%s): %w", address, user, err)
	}
	listener.Close()
	return nil
}

func checkSpace(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("find the free space of %s: %w", dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < minFree {
		return fmt.Errorf("%s has %.1f GiB free, and the demo wants %d: set TMPDIR to a folder with more",
			dir, float64(free)/(1<<30), minFree>>30)
	}
	return nil
}
