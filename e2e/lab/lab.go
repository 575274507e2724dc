// Package lab starts and stops the real things that tests and the demo run against: a Ceph cluster, QEMU guests
// with RBD disks, Prometheus and the exporter, and nodes, which are machines with their own systemd, sshd and Ceph's
// packages. Nothing in it needs root but the nodes.
//
// Whatever it starts lives in a folder of its own under [os.TempDir], and ends and vanishes with the process that
// started it, also when that process panics or is killed.
package lab

import (
	"context"
	"fmt"
	"time"
)

const (
	// quickPoll is how often the lab looks for what is cheap to find out, such as a file.
	quickPoll = 50 * time.Millisecond
	// slowPoll is how often it runs a command of Ceph's, which takes half a second of CPU time.
	slowPoll = time.Second
)

// waitFor calls done until it returns true or an error, or ctx ends. The error for the latter names what.
func waitFor(ctx context.Context, what string, interval time.Duration, done func() (bool, error)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
