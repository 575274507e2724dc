package exporter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// qemuGuest is what is kept of a guest while its process lives.
type qemuGuest struct {
	kvm.Guest
	labels []string

	// These belong to the guest's own target, which is never called twice at the same time.
	monitor *kvm.Monitor
	parser  kvm.Parser
	file    fs.FileInfo // of the runtime file, as it was parsed
	runtime *kvm.Runtime
	devices []kvm.BlockDevice
	asked   time.Time // when the devices were
	moved   float64   // operations of all disks at the last scrape
	disks   []qemuDisk

	// known is what the target for librbd sees of the disks.
	mu    sync.Mutex
	known []qemuDisk

	// clients are the admin sockets of the guest's process at the last scrape. Only Targets uses it.
	clients []string
}

// qemuDisk is a disk as it goes out. Its labels are nil when there is no medium, its info when QEMU could not yet
// be asked what it is.
type qemuDisk struct {
	id           kvm.BlockID
	labels, info []string
	device       kvm.BlockDevice
}

// qemuReport is what QEMU said in one scrape. Devices are nil when they were not asked for.
type qemuReport struct {
	status, version, pkg string
	stats                []kvm.BlockStats
	devices              []kvm.BlockDevice
}

func newQEMUGuest(g kvm.Guest, sockets *kvm.Sockets) *qemuGuest {
	return &qemuGuest{
		Guest:   g,
		labels:  []string{g.Instance},
		monitor: kvm.NewMonitor(sockets, g.Dir.Monitors(g.Instance)...),
		runtime: &kvm.Runtime{},
	}
}

// ask asks QEMU for what is wanted in this scrape. What each disk is made of comes last, as it may take longest:
// what came before is returned beside an error.
func (g *qemuGuest) ask(session *kvm.Session) (*qemuReport, error) {
	answers, err := session.Ask(kvm.QueryStatus, kvm.QueryBlockStats)
	if err != nil {
		return nil, err
	}
	r := &qemuReport{version: session.Version.Number, pkg: session.Version.Package}
	if r.status, err = g.parser.Status(answers[0]); err != nil {
		return nil, err
	}
	if r.stats, err = g.parser.BlockStats(answers[1]); err != nil {
		return nil, err
	}
	if !g.wantsDevices(r.stats) {
		return r, nil
	}
	if answers, err = session.Ask(kvm.QueryBlock); err != nil {
		return r, err
	}
	r.devices, err = kvm.ParseBlock(answers[0])
	return r, err
}

// devicesAge is how long the answer of what the disks are is good for. Sizes and cache modes change rarely.
const devicesAge = 10 * time.Minute

// wantsDevices tells whether to ask what the disks are: when they are not those of the last time, or after a
// while. But then only when I/O is done, as the question may go to the cluster, and one that hangs would stop the
// guest's main loop.
func (g *qemuGuest) wantsDevices(stats []kvm.BlockStats) bool {
	moved := 0.0
	for i := range stats {
		moved += stats[i].Read.Count + stats[i].Write.Count
	}
	moving := moved != g.moved
	g.moved = moved
	same := slices.EqualFunc(stats, g.devices, func(s kvm.BlockStats, d kvm.BlockDevice) bool {
		return s.Same(d.BlockID)
	})
	return !same || moving && time.Since(g.asked) >= devicesAge
}

// update brings the guest's disks up to date with what QEMU and the runtime file say.
func (g *qemuGuest) update(r *qemuReport) error {
	changed, err := g.readRuntime()
	if r.devices != nil {
		g.devices, g.asked, changed = r.devices, time.Now(), true
	}
	if changed || !slices.EqualFunc(r.stats, g.disks, func(s kvm.BlockStats, d qemuDisk) bool { return s.Same(d.id) }) {
		g.disks = g.makeDisks(r.stats)
		g.mu.Lock()
		g.known = g.disks
		g.mu.Unlock()
	}
	return err
}

// readRuntime reads the runtime file if it is another one than last time.
func (g *qemuGuest) readRuntime() (changed bool, err error) {
	path := g.Dir.RuntimeFile(g.Instance)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		changed = g.file != nil
		g.file, g.runtime = nil, &kvm.Runtime{}
		return changed, nil
	}
	if err != nil {
		return false, fmt.Errorf("read runtime file: %w", err)
	}
	if g.file != nil && os.SameFile(g.file, info) && g.file.ModTime().Equal(info.ModTime()) && g.file.Size() == info.Size() {
		return false, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("read runtime file: %w", err)
	}
	runtime, err := kvm.ParseRuntime(data)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	g.file, g.runtime = info, runtime
	return true, nil
}

func (g *qemuGuest) makeDisks(stats []kvm.BlockStats) []qemuDisk {
	disks := make([]qemuDisk, len(stats))
	taken := make(map[string]bool, len(stats))
	for i := range stats {
		d := &disks[i]
		d.id = stats[i].BlockID
		if d.id.Node == "" {
			continue
		}
		disk, label := g.find(d.id, taken)
		if label == "" || taken[label] {
			continue
		}
		taken[label] = true
		d.labels = []string{g.Instance, label}
		d.describe(g.devices, disk)
	}
	return disks
}

// find returns what Ganeti knows of a disk and its index, or QEMU's name when Ganeti knows nothing or the index is
// taken.
func (g *qemuGuest) find(id kvm.BlockID, taken map[string]bool) (disk kvm.Disk, label string) {
	names := id.Names()
	if disk, ok := g.runtime.Find(names...); ok && !taken[strconv.Itoa(disk.Index)] {
		return disk, strconv.Itoa(disk.Index)
	}
	if len(names) == 0 {
		return kvm.Disk{}, ""
	}
	return kvm.Disk{}, names[0]
}

// describe fills in what the disk is made of.
func (d *qemuDisk) describe(devices []kvm.BlockDevice, disk kvm.Disk) {
	i := slices.IndexFunc(devices, func(device kvm.BlockDevice) bool { return device.Same(d.id) })
	if i < 0 {
		return
	}
	d.device = devices[i]
	source := &d.device.Source
	hostDevice := source.HostDevice()
	access := ""
	switch {
	case source.Driver == "rbd":
		access = "userspace"
	case strings.HasPrefix(hostDevice, "rbd"):
		access = "kernelspace"
		if source.Image == "" {
			source.Pool, source.Image = disk.Pool, disk.Image
		}
	}
	d.info = append(d.labels[:2:2],
		disk.UUID, access, source.Driver, d.device.Cache, hostDevice, source.Pool, source.Namespace, source.Image)
}
