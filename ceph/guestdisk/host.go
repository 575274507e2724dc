// Package guestdisk makes the images of a cluster disks of guests on this host: it looks at them, claims them so that nobody else
// writes to them, maps them where the kernel is to do the I/O, and gives them back. It runs Ceph's own tools, as the user
// that QEMU is to the cluster, who needs no more than the profile rbd.
package guestdisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// Runner runs commands on this host.
type Runner interface {
	// Run runs a command to its end, bounded by ctx, and returns what it has printed on standard output. An error of a
	// command that has ended has the methods ExitCode() int, and Said() string with the end of what it has printed on
	// standard error.
	Run(ctx context.Context, stdin []byte, argv ...string) (stdout []byte, err error)
}

// Host is the host that this runs on.
type Host struct {
	Runner Runner
	// Sysfs is the root of sysfs, usually /sys, and Dev the folder of devices, usually /dev.
	Sysfs, Dev string
	// Run is the folder of what is remembered until the next boot, usually /run/cephctl/rbd.
	Run string
	// Timeout bounds each command. A cluster that does not answer would keep it for minutes.
	Timeout time.Duration
}

// commandTimeout is far more than any of the commands takes when the cluster is well.
const commandTimeout = 40 * time.Second

// New returns the host itself.
func New(runner Runner) *Host {
	return &Host{Runner: runner, Sysfs: "/sys", Dev: "/dev", Run: "/run/cephctl/rbd", Timeout: commandTimeout}
}

// RBD returns the command line of a command of rbd as the user of a device.
func RBD(d ceph.Device, args ...string) []string { return tool(d, "rbd", args) }

// rados returns that of a command about an object in the pool and namespace of a device.
func rados(d ceph.Device, args ...string) []string {
	where := []string{"--pool", d.Image.Pool}
	if d.Image.Namespace != "" {
		where = append(where, "--namespace", d.Image.Namespace)
	}
	return tool(d, "rados", append(where, args...))
}

// tool returns a command line of one of Ceph's tools. Without an admin socket: ceph.conf may have one for guests.
func tool(d ceph.Device, name string, args []string) []string {
	argv := []string{name, "--admin-socket="}
	if d.Conf != "" {
		argv = append(argv, "--conf", d.Conf)
	}
	if d.User != "" {
		argv = append(argv, "--id", d.User)
	}
	return append(argv, args...)
}

// run runs a command of Ceph's about a device. Its error is an *Error, which has no secrets.
func (h *Host) run(ctx context.Context, d ceph.Device, argv []string) ([]byte, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("%w within %s", errNoAnswer, h.Timeout))
	defer cancel()
	out, err := h.Runner.Run(bounded, nil, argv...)
	if err != nil {
		return out, explain(d, err)
	}
	return out, nil
}

var errNoAnswer = errors.New("the cluster has not answered")

// ask runs a command and reads the JSON that it prints.
func ask[T any](ctx context.Context, h *Host, d ceph.Device, argv []string) (T, error) {
	var answer T
	out, err := h.run(ctx, d, argv)
	if err != nil {
		return answer, err
	}
	if len(out) == 0 { // an empty list
		return answer, nil
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return answer, fmt.Errorf("read the answer of %s: %w", argv[0], err)
	}
	return answer, nil
}

// secret is a cephx key in base64, which Ceph's tools print when they can't read it.
var secret = regexp.MustCompile(`A[A-Za-z0-9+/]{37,}={0,2}`)

// Redact takes keys out of a text.
func Redact(text string) string { return secret.ReplaceAllString(text, "(key)") }
