package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Disk is a disk of a guest: an RBD image that QEMU opens through librbd.
type Disk struct {
	Pool, Image string
}

// UUID returns the uuid that the disk has in Ganeti. It stays the same when the guest is started again.
func (d Disk) UUID() string { return nameUUID(d.Pool + "/" + d.Image) }

// DeviceID returns the name of the disk in QEMU, as Ganeti makes it.
func (d Disk) DeviceID() string { return "disk-" + d.UUID()[:18] }

// GuestOptions says what StartGuest starts.
type GuestOptions struct {
	// Name is the name of the instance in Ganeti, for example "inst1.example.com".
	Name string
	// Disks are the guest's disks. It boots from the first: see CreateBootImage.
	Disks []Disk
	// RunDir stands for Ganeti's /var/run/ganeti. Default: Ceph.GanetiRunDir.
	RunDir string
	// Blockdev gives QEMU its disks as Ganeti 3.1 does (-blockdev), instead of as 3.0 does (-drive).
	Blockdev bool
	// Accel is QEMU's accelerator. Default: tcg, which works everywhere.
	Accel string
}

// Guest is a running QEMU guest with the sockets and files that Ganeti makes for an instance.
type Guest struct {
	Name   string
	Pid    int
	RunDir string
	Disks  []Disk

	process *process
	serial  string
	files   []string
}

// CreateBootImage makes an image from which a guest boots a program that writes size MiB of a known pattern, reads
// it back and compares: see Guest.WaitVerified. Then the program halts, or, when steady, goes on with about 18
// writes and reads of 4 KiB a second. The image is 1 MiB larger than size.
func (c *Ceph) CreateBootImage(ctx context.Context, pool, image string, size int, steady bool) error {
	file := c.group.path("boot-" + newUUID())
	defer os.Remove(file)
	err := os.WriteFile(file, bootSector(size, steady), 0o600)
	if err == nil {
		err = os.Truncate(file, BootImageSize(size))
	}
	if err == nil {
		_, err = c.RBD(ctx, "import", "--no-progress", file, pool+"/"+image)
	}
	if err != nil {
		return fmt.Errorf("create boot image %s/%s: %w", pool, image, err)
	}
	return nil
}

// BootSector returns the first sector of such an image, which is BootImageSize bytes large.
func BootSector(size int, steady bool) []byte { return bootSector(size, steady) }

// BootImageSize returns the size of such an image.
func BootImageSize(size int) int64 { return firstBlock + int64(size)<<20 }

// GuestQMP returns the path of the QMP socket of a guest below a Ganeti run directory.
func GuestQMP(runDir, name string) string { return ganetiFile(runDir, "ctrl", name+".qmp") }

func ganetiFile(runDir, folder, name string) string {
	return filepath.Join(runDir, "kvm-hypervisor", folder, name)
}

// StartGuest starts a guest as client.guest and returns when its monitors can be reached. It ends with the
// cluster, if not before.
func (c *Ceph) StartGuest(ctx context.Context, options GuestOptions) (*Guest, error) {
	if options.RunDir == "" {
		options.RunDir = c.GanetiRunDir
	}
	if options.Accel == "" {
		options.Accel = "tcg"
	}
	g, err := c.startGuest(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start guest %s: %w", options.Name, err)
	}
	return g, nil
}

func (c *Ceph) startGuest(ctx context.Context, options GuestOptions) (*Guest, error) {
	for _, folder := range []string{"conf", "ctrl", "pid"} {
		if err := os.MkdirAll(ganetiFile(options.RunDir, folder, ""), 0o755); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	g := &Guest{Name: options.Name, RunDir: options.RunDir, Disks: options.Disks}
	g.serial = c.group.path(g.Name + ".serial")
	g.files = []string{
		g.serial, g.file("conf", "runtime"), g.file("ctrl", "qmp"), g.file("ctrl", "kvmd"), g.file("ctrl", "monitor"),
		ganetiFile(g.RunDir, "pid", g.Name),
	}
	command := c.qemuCommand(g, options)
	if err := writeRuntime(g, command); err != nil {
		return nil, err
	}
	var err error
	if g.process, err = c.group.start(g.Name, command[0], command[1:]...); err != nil {
		return nil, err
	}
	g.Pid = g.process.Pid
	if err := g.waitMonitors(ctx); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

// qemuCommand returns the command line of QEMU. What is not there for Ganeti's sake keeps the guest small.
func (c *Ceph) qemuCommand(g *Guest, options GuestOptions) []string {
	command := []string{
		"qemu-system-x86_64", "-name", g.Name, "-m", "32", "-smp", "1",
		"-pidfile", ganetiFile(g.RunDir, "pid", g.Name),
		"-accel", options.Accel, "-nodefaults", "-display", "none", "-serial", "file:" + g.serial,
		"-monitor", "unix:" + g.file("ctrl", "monitor") + ",server=on,wait=off",
		"-qmp", "unix:" + g.file("ctrl", "qmp") + ",server=on,wait=off",
		"-qmp", "unix:" + g.file("ctrl", "kvmd") + ",server=on,wait=off",
	}
	for i, disk := range options.Disks {
		if options.Blockdev {
			command = append(command, "-blockdev", fmt.Sprintf(
				"driver=raw,node-name=%s,discard=ignore,cache.direct=off,file.driver=rbd,file.pool=%s,file.image=%s,file.user=guest,file.conf=%s",
				disk.DeviceID(), disk.Pool, disk.Image, c.GuestConf))
		} else {
			command = append(command, "-drive", fmt.Sprintf("file=rbd:%s/%s:id=guest:conf=%s,format=raw,if=none,id=%s",
				disk.Pool, disk.Image, c.GuestConf, disk.DeviceID()))
		}
		command = append(command, "-device",
			fmt.Sprintf("virtio-blk-pci,drive=%s,id=%[1]s,bootindex=%d", disk.DeviceID(), i))
	}
	return command
}

// waitMonitors waits until QEMU listens on its monitors and has written its pid.
func (g *Guest) waitMonitors(ctx context.Context) error {
	return waitFor(ctx, "the monitors of "+g.Name, quickPoll, func() (bool, error) {
		for _, file := range g.files[1:] {
			if _, err := os.Stat(file); err != nil {
				return false, g.process.alive()
			}
		}
		table, err := os.ReadFile("/proc/net/unix")
		for _, monitor := range []string{"qmp", "kvmd", "monitor"} {
			if err != nil || !listens(string(table), g.file("ctrl", monitor)) {
				return false, errors.Join(err, g.process.alive())
			}
		}
		return true, nil
	})
}

// listens tells whether somebody listens on a socket, of which the file alone is there a moment earlier. The table is that
// of /proc/net/unix.
func listens(table, socket string) bool {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) == 8 && f[3] == "00010000" && f[7] == socket {
			return true
		}
	}
	return false
}

// WaitVerified returns when the guest has read back and compared all that it had to write to its first disk, or an
// error when it could not.
func (g *Guest) WaitVerified(ctx context.Context) error {
	return waitFor(ctx, "guest "+g.Name, quickPoll, func() (bool, error) {
		said := tail(g.serial, 1000)
		if strings.Contains(said, bootFailed) {
			return false, errors.New(said)
		}
		return strings.Contains(said, "verified"), g.process.alive()
	})
}

// WaitFailed returns when the guest says that an I/O operation of its has failed.
func (g *Guest) WaitFailed(ctx context.Context) error {
	return waitFor(ctx, "the failure of guest "+g.Name, quickPoll, func() (bool, error) {
		return strings.Contains(tail(g.serial, 1000), bootFailed), g.process.alive()
	})
}

// Pause stops the guest's CPU: it does nothing, while its QEMU answers.
func (g *Guest) Pause(ctx context.Context) error { return g.qmp(ctx, "stop") }

// Resume lets a guest go on.
func (g *Guest) Resume(ctx context.Context) error { return g.qmp(ctx, "cont") }

func (g *Guest) qmp(ctx context.Context, command string) error {
	if err := qmp(ctx, g.file("ctrl", "qmp"), qmpCommand{Execute: command}); err != nil {
		return fmt.Errorf("guest %s: %w", g.Name, err)
	}
	return nil
}

// Signal sends a signal such as SIGSTOP or SIGCONT to QEMU.
func (g *Guest) Signal(sig syscall.Signal) error { return g.process.signal(sig) }

// Stop ends QEMU and removes what Ganeti would remove.
func (g *Guest) Stop() error {
	if err := g.process.kill(); err != nil {
		return err
	}
	for _, file := range g.files {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("stop guest %s: %w", g.Name, err)
		}
	}
	return nil
}

// file returns the path of the guest's file with this suffix in a folder of the hypervisor's run directory.
func (g *Guest) file(folder, suffix string) string {
	return ganetiFile(g.RunDir, folder, g.Name+"."+suffix)
}
