package guest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/procfile"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// The kinds of reasons why an instance can't be started on a node, beside those of disks.
const (
	CaseQEMU   = "qemu-missing"
	CaseMemory = "instance-memory"
	CaseBridge = "bridge-missing"
	CaseDisk   = "disk"
)

// statusTimeout is what a guest has to answer. One that hangs keeps its monitors busy for good with those who have given up.
const statusTimeout = 10 * time.Second

// look says what there is of an instance, and what keeps it from being started here.
func (h Handler) look(ctx context.Context, r *Request) (*Look, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	l := &Look{Host: host, Disks: make([]DiskLook, len(r.Disks))} // an empty list, not null
	l.Guest, err = h.status(ctx, r)
	if err != nil && !errors.Is(err, kvm.ErrNotRunning) {
		l.Problem = err.Error()
	}
	if r.Start && l.Guest == nil && !r.Ganeti {
		l.Blockers = h.lacks(ctx, r)
		if l.Commands, err = h.commands(r); err != nil {
			return nil, err
		}
	}
	r.eachDisk(func(i int, d control.DiskSpec) {
		if err := h.lookDisk(ctx, r, d, &l.Disks[i]); err != nil {
			b := blocker(r, d, err)
			l.Disks[i].Problem = &b
		}
	})
	if l.Guest != nil {
		h.asStarted(r, l)
	}
	return l, nil
}

// status asks the guest of an instance, for a bounded time.
func (h Handler) status(ctx context.Context, r *Request) (*kvm.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statusTimeout, fmt.Errorf("no answer within %s", statusTimeout))
	defer cancel()
	status, err := h.qemu(r).Status(ctx, r.Instance.Name)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("ask QEMU: %w", context.Cause(ctx))
	}
	return status, err
}

// paramAccess is the disk parameter that says who does the I/O.
const paramAccess = "access"

// asStarted says of the disks of a guest that runs what it was started with: the parameters may have changed since.
func (h Handler) asStarted(r *Request, l *Look) {
	data, err := os.ReadFile(r.dir().RuntimeFile(r.Instance.Name))
	if err != nil {
		return
	}
	started, err := kvm.ParseRuntime(data)
	if err != nil {
		return
	}
	asked := make([]string, len(l.Disks))
	for i := range l.Disks {
		uuid := r.Disks[i].UUID
		d, ok := started.ByUUID(uuid)
		if ok {
			l.Disks[i].asStarted(d)
		}
		if drive, ok := l.Guest.Drive(uuid, d.DeviceID); ok {
			l.Disks[i].Cache, l.Disks[i].Driver, l.Disks[i].Open = drive.Cache, drive.Driver, drive.Open
			asked[i] = drive.Open
		}
	}
	for _, drive := range l.Guest.Drives {
		if r.Ganeti && drive.Open != "" && !slices.Contains(asked, drive.Open) {
			l.Stray = append(l.Stray, drive.Open)
		}
	}
}

// asStarted says of a disk what its guest was started with. What is not opened as a URI is opened by a link to the device.
func (l *DiskLook) asStarted(d kvm.Disk) {
	l.Path, l.Access = cmp.Or(d.URI, d.Link), d.Access
	if d.Link == "" {
		return
	}
	if device, err := filepath.EvalSymlinks(d.Link); err == nil {
		l.Mapped = cmp.Or(l.Mapped, device)
	}
}

func (h Handler) lookDisk(ctx context.Context, r *Request, d control.DiskSpec, l *DiskLook) error {
	host, err := h.disk(d)
	if err != nil {
		return err
	}
	open, _ := host.Preview(d)
	l.Path, l.Cache, l.Access = open.Path, open.Cache, d.Params[paramAccess]
	if r.Start || d.Map {
		if err := checkOpen(ctx, host, d, l); err != nil {
			return err
		}
	}
	if l.ImageState, err = host.Look(ctx, d); err != nil {
		return err
	}
	if l.Mapped != "" && open.Mapped != "" {
		l.Path = strings.Replace(l.Path, open.Mapped, l.Mapped, 1)
	}
	if l.Claim != nil {
		l.Dead, err = h.isDead(r, l.Claim, l.ImageState)
	}
	return err
}

// checkOpen returns why a disk can't be opened here, and says what may come of it: that is told beside what the node
// lacks, so that nobody cures the one to be refused for the other.
func checkOpen(ctx context.Context, host control.DiskHost, d control.DiskSpec, l *DiskLook) error {
	lack := host.Check(ctx, d)
	risk, err := host.Risk(ctx, d)
	l.Risk = risk
	return cmp.Or(lack, err)
}

// lacks returns what this node lacks for the instance, whatever there is of its images.
func (h Handler) lacks(ctx context.Context, r *Request) []control.Blocker {
	var lacks []control.Blocker
	add := func(kind, cure, format string, args ...any) {
		lacks = append(lacks, control.Blocker{Node: r.Instance.Node, Case: kind, Text: fmt.Sprintf(format, args...), Cure: cure})
	}
	if _, err := h.Runner.Run(ctx, nil, kvm.Program, "-version"); err != nil {
		add(CaseQEMU, "apt-get install qemu-system-x86 qemu-block-extra", "QEMU can't be run: %v", err)
	}
	if free, err := h.freeMemory(); err == nil && free < r.Instance.MemoryBytes {
		add(CaseMemory, "stop another instance, or give it less", "has %d MiB of memory free, and the instance wants %d MiB", free>>20, r.Instance.MemoryBytes>>20)
	}
	for i, n := range r.Instance.NICs {
		if n.Mode != kvm.ModeBridged {
			continue
		}
		if _, err := os.Stat(h.path(filepath.Join("sys/class/net", n.Bridge, "bridge"))); err != nil {
			add(CaseBridge, "ip link add "+n.Bridge+" type bridge", "has no bridge %s for NIC %d", n.Bridge, i)
		}
	}
	return lacks
}

// checkDisk returns what this node lacks for a disk.
func (h Handler) checkDisk(ctx context.Context, d control.DiskSpec) error {
	host, err := h.disk(d)
	if err != nil {
		return err
	}
	return host.Check(ctx, d)
}

// blocker makes what stands in the way of an error about a disk.
func blocker(r *Request, d control.DiskSpec, err error) control.Blocker {
	b := control.Blocker{Node: r.Instance.Node, Case: CaseDisk, Text: fmt.Sprintf("disk %d: %v", d.Index, err)}
	var known *control.DiskError
	if errors.As(err, &known) {
		b.Case, b.Text, b.Cure = known.Case, fmt.Sprintf("disk %d: %s", d.Index, known.Text), known.Cure
	}
	return b
}

// freeMemory returns how much memory can be used without swapping, in bytes.
func (h Handler) freeMemory() (int64, error) {
	text, err := readText(h.path("proc/meminfo"))
	if err != nil {
		return 0, fmt.Errorf("look for free memory: %w", err)
	}
	available, err := procfile.Memory(text, "MemAvailable")
	if err != nil {
		return 0, fmt.Errorf("look for free memory: %w", err)
	}
	return int64(available), nil
}

// commands are what a start runs, for people.
func (h Handler) commands(r *Request) ([]string, error) {
	var lines []string
	config := r.config()
	for _, d := range r.Disks {
		host, err := h.disk(d)
		if err != nil {
			return nil, err
		}
		open, commands := host.Preview(d)
		lines = append(lines, commands...)
		config.Drives = append(config.Drives, drive(d, open))
	}
	argv, err := h.qemu(r).CommandLine(&config)
	if err != nil {
		return nil, err
	}
	return append(lines, run.Quote(argv)), nil
}
