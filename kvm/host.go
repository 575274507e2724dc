package kvm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Runner runs commands on this host.
type Runner interface {
	// Run runs a command to its end, bounded by ctx, and returns what it has printed on standard output. An error of a
	// command that has ended has a method Said() string with the end of what it has printed on standard error.
	Run(ctx context.Context, stdin []byte, argv ...string) (stdout []byte, err error)
}

// Host starts and stops guests on this host.
type Host struct {
	Runner Runner
	// Dir is where the guests' files are.
	Dir Dir
	// Procfs and Dev are the roots of procfs and of the devices, usually /proc and /dev.
	Procfs, Dev string
	// Shared tells that the guests are somebody else's, whose monitor is left alone while there is another.
	Shared bool
}

// NewHost returns the host itself, with guests in a directory.
func NewHost(runner Runner, dir Dir) *Host {
	return &Host{Runner: runner, Dir: dir, Procfs: "/proc", Dev: "/dev"}
}

// Status is what a running guest says of itself.
type Status struct {
	PID int `json:"pid"`
	// State is QEMU's run state, for example "running" or "paused".
	State string `json:"state"`
	// Accel is "kvm" or "tcg".
	Accel   string        `json:"accelerator"`
	Version string        `json:"qemu"`
	Drives  []DriveStatus `json:"drives"`
}

// DriveStatus is what QEMU says of a disk.
type DriveStatus struct {
	// Names are those that QEMU has for it.
	Names  []string `json:"names"`
	Driver string   `json:"driver"`
	// Open is what it has open, as Source.String writes it.
	Open  string `json:"open,omitempty"`
	Cache string `json:"cache"`
	Size  uint64 `json:"size_bytes"`
}

// drive returns what QEMU says of the disk with an id.
func (s *Status) drive(id string) (DriveStatus, bool) {
	at := slices.IndexFunc(s.Drives, func(d DriveStatus) bool { return slices.Contains(d.Names, id) })
	if at < 0 {
		return DriveStatus{}, false
	}
	return s.Drives[at], true
}

// Drive returns what QEMU says of the disk with a UUID, or with a name that the runtime file has for it; false when it has no
// such disk.
func (s *Status) Drive(uuid, name string) (DriveStatus, bool) {
	return s.drive(cmp.Or(name, (&Drive{UUID: uuid}).DeviceID()))
}

// ErrNotRunning is in the error when no process runs the instance.
var ErrNotRunning = errors.New("is not running")

// queryKVM tells whether the guest runs with KVM.
var queryKVM = query("query-kvm")

// Status asks a running guest. An error that wraps ErrNotRunning says that there is none.
func (h *Host) Status(ctx context.Context, instance string) (*Status, error) {
	g, ok, err := h.Dir.Guest(h.Procfs, instance)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s %w", instance, ErrNotRunning)
	}
	status := &Status{PID: g.Process.PID}
	answers, version, err := h.ask(ctx, instance, QueryStatus, queryKVM, QueryBlock)
	if err != nil {
		return status, err
	}
	status.Version = version.Number
	return status, status.parse(answers)
}

func (s *Status) parse(answers [][]byte) error {
	var parser Parser
	var err error
	if s.State, err = parser.Status(answers[0]); err != nil {
		return err
	}
	accelerated, err := parseEnabled(answers[1])
	if err != nil {
		return err
	}
	s.Accel = "tcg"
	if accelerated {
		s.Accel = "kvm"
	}
	devices, err := ParseBlock(answers[2])
	if err != nil {
		return err
	}
	for _, d := range devices {
		s.Drives = append(s.Drives, DriveStatus{Names: d.Names(), Driver: d.Source.Driver, Open: d.Source.String(), Cache: d.Cache, Size: d.Size})
	}
	return nil
}

// ask asks a guest, and waits for its monitor while somebody else holds it.
func (h *Host) ask(ctx context.Context, instance string, queries ...Query) ([][]byte, Version, error) {
	paths := h.Dir.Monitors(instance)
	if !h.Shared {
		slices.Reverse(paths) // the exporter takes the first of them
	}
	monitor := NewMonitor(NewSockets(h.Procfs), paths...)
	for {
		answers, version, err := askOnce(ctx, monitor, queries)
		if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNoMonitor) {
			return answers, version, err
		}
		if _, ok, gone := h.Dir.Guest(h.Procfs, instance); gone == nil && !ok {
			return nil, version, fmt.Errorf("%s %w", instance, ErrNotRunning)
		}
		if waited := sleep(ctx, monitorPoll); waited != nil {
			return nil, version, errors.Join(err, waited)
		}
	}
}

// monitorPoll is how long is waited before a monitor is tried again, or a process is looked for.
const monitorPoll = 50 * time.Millisecond

func askOnce(ctx context.Context, monitor *Monitor, queries []Query) ([][]byte, Version, error) {
	session, err := monitor.Open(ctx, nil)
	if err != nil {
		return nil, Version{}, err
	}
	defer session.Close()
	answers, err := session.Ask(queries...)
	return answers, session.Version, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// accels are the accelerators to try, the best first.
func (h *Host) accels() []string {
	f, err := os.OpenFile(filepath.Join(h.Dev, "kvm"), os.O_RDWR, 0)
	if err != nil {
		return []string{"tcg"}
	}
	f.Close()
	return []string{"kvm", "tcg"}
}

// CommandLine returns how Start runs QEMU.
func (h *Host) CommandLine(c *Config) ([]string, error) { return h.Dir.CommandLine(c, h.accels()...) }
