package loopback

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/smallfile"
)

const (
	// lookAge is how old a look may get at devices that move, while those who had them open still do.
	lookAge = time.Minute
	// lookShare is how many times as long as a look takes there is none, but for a device that is new.
	lookShare = 20
)

// processes are those that have devices open, as of the last look.
type processes struct {
	looked time.Time
	took   time.Duration
	// open are by mapped device; a device without any is there, too.
	open map[string][]openFile
	// missing is why there may be more.
	missing error
	// osds are the processes that are OSDs by their name.
	osds []int
}

// openFile is a file descriptor.
type openFile struct {
	path, target string // of its link in procfs, and what that says
	use          Use
}

// wanted tells whether to look at processes again for a device. Reading the open files of all processes costs as much
// as all the rest of a scrape, so it is done when the device moves and nobody is known who moves it.
func (p *processes) wanted(m *Mapping, state *deviceState, now time.Time) bool {
	open, known := p.open[m.Device]
	if !known {
		return true
	}
	if state.still() || now.Sub(p.looked) < lookShare*p.took {
		return false
	}
	return len(open) == 0 && idle(m.Uses) || now.Sub(p.looked) >= lookAge || !stillOpen(open)
}

func idle(uses []Use) bool {
	for _, u := range uses {
		if u.Reason != Idle {
			return false
		}
	}
	return true
}

func stillOpen(files []openFile) bool {
	for _, o := range files {
		if target, err := os.Readlink(o.path); err != nil || target != o.target {
			return false
		}
	}
	return true
}

// uses returns the uses of a mapped device.
func (p *processes) uses(device string) []Use {
	uses := make([]Use, 0, len(p.open[device]))
	for _, o := range p.open[device] {
		uses = append(uses, o.use)
	}
	return uses
}

// scan looks at the open files of all processes. wanted are the names below /dev and the numbers of the devices, with
// the mapped device that each lies on.
func (p *processes) scan(procfs string, wanted map[string]string) {
	p.open, p.missing, p.osds = make(map[string][]openFile), nil, nil
	for _, device := range wanted {
		p.open[device] = nil
	}
	entries, err := os.ReadDir(procfs)
	if err != nil {
		p.missing = explain("list processes", err)
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if isOSD(procfs, pid) {
			p.osds = append(p.osds, pid)
		}
		if err := p.scanProcess(filepath.Join(procfs, e.Name()), pid, wanted); err != nil && p.missing == nil {
			p.missing = explain("look who has devices open", err)
		}
	}
}

// osdProcesses lists the processes that are OSDs by their name.
func osdProcesses(procfs string) []int {
	entries, err := os.ReadDir(procfs)
	if err != nil {
		return nil // what is needed of procfs says so
	}
	var osds []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && isOSD(procfs, pid) {
			osds = append(osds, pid)
		}
	}
	return osds
}

// isOSD tells whether a process is an OSD by its name.
func isOSD(procfs string, pid int) bool {
	var buf [16]byte
	comm, err := smallfile.Read(filepath.Join(procfs, strconv.Itoa(pid), "comm"), buf[:])
	return err == nil && string(comm) == "ceph-osd\n"
}

func (p *processes) scanProcess(dir string, pid int, wanted map[string]string) error {
	fds, err := os.Open(filepath.Join(dir, "fd"))
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer fds.Close()
	names, err := fds.Readdirnames(-1)
	if err != nil && !gone(err) {
		return err
	}
	for _, name := range names {
		path := dir + "/fd/" + name
		target, err := os.Readlink(path)
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		device := lookUp(path, target, wanted)
		if device == "" {
			continue
		}
		if err := p.add(device, openFile{path: path, target: target}, dir, name, pid); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// common are files below /dev that processes have by the thousand.
var common = []string{"null", "pts/", "urandom", "random", "zero", "tty", "kvm", "net/tun", "vhost", "fuse", "shm/", "ptmx"}

// lookUp returns the mapped device that an open file belongs to, or "". The number of the device counts, and its name
// where there is no number.
func lookUp(path, target string, wanted map[string]string) string {
	name, ok := strings.CutPrefix(target, "/dev/")
	if !ok {
		return ""
	}
	for _, c := range common {
		if strings.HasPrefix(name, c) {
			return ""
		}
	}
	if number := deviceNumber(path); number != "" {
		return wanted[number]
	}
	return wanted[strings.TrimSuffix(name, " (deleted)")]
}

// deviceNumber returns the number of an open block device as "252:0", or "".
func deviceNumber(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	major := stat.Rdev>>8&0xfff | stat.Rdev>>32&^0xfff
	minor := stat.Rdev&0xff | stat.Rdev>>12&^0xff
	return fmt.Sprintf("%d:%d", major, minor)
}

// add puts in a process that writes. One that only reads, as udev does, makes no page dirty; rbd-nbd is the device.
func (p *processes) add(device string, o openFile, dir, fd string, pid int) error {
	info, err := os.ReadFile(filepath.Join(dir, "fdinfo", fd))
	if err != nil {
		return err
	}
	flags, err := parseFlags(string(info))
	if err != nil {
		return err
	}
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(string(comm), "\n")
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY || name == NBD {
		return nil
	}
	o.use = Use{Reason: PageCache, Device: strings.TrimPrefix(o.target, "/dev/"), Who: fmt.Sprintf("%s (process %d)", name, pid), PID: pid}
	if flags&syscall.O_DIRECT != 0 {
		o.use.Reason = Direct
	}
	p.open[device] = append(p.open[device], o)
	return nil
}

// parseFlags takes /proc/PID/fdinfo/FD and returns the flags that the file was opened with.
func parseFlags(text string) (int, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseInt(strings.TrimSpace(value), 8, 32)
			return int(flags), err
		}
	}
	return 0, errors.New("parse fdinfo: no flags")
}
