package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// instancePool is where the instances of these tests have their images.
const instancePool = "vms"

// site is an installation of cephctl on this host, with the one node that this is.
type site struct {
	t       *testing.T
	ceph    *lab.Ceph
	binary  string
	dir     string
	runDir  string
	watcher *qemuTest
}

// TestInstance starts instances on a real cluster, with the cephctl that is built here.
func TestInstance(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	lab.RequireCeph(t)
	lab.RequireGuest(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ceph, err := lab.StartCeph(ctx, lab.CephOptions{Mons: 3, OSDs: 3, Progress: func(step string) { t.Log(step) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ceph.Stop() })
	if err := ceph.CreatePool(ctx, instancePool); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, ceph, buildCephctl(t))
	for _, test := range []struct {
		name string
		run  func(*site)
	}{
		{"odd names", (*site).testOddNames}, // in a pool of its own, which has to be the first
		{"data", (*site).testData},
		{"shutdown", (*site).testShutdown},
		{"ended", (*site).testEnded},
		{"several disks and a NIC", (*site).testSeveral},
		{"race", (*site).testRace},
		{"open elsewhere", (*site).testOpenElsewhere},
		{"zombie", (*site).testZombie},
		{"refused", (*site).testRefused},
		{"cluster lost", (*site).testClusterLost},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := *s
			own.t = t
			test.run(&own)
		})
	}
}

// buildCephctl builds the program as it is shipped.
func buildCephctl(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "cephctl")
	if err := lab.BuildCephctl(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	return binary
}

// newSite makes an installation with this host as its node. Its folder has a short name: there are sockets in it.
func newSite(t *testing.T, ceph *lab.Ceph, binary string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, ceph: ceph, binary: binary, dir: dir, runDir: filepath.Join(dir, "run")}
	t.Cleanup(func() {
		s.killAll()
		os.RemoveAll(dir)
	})
	s.watcher = &qemuTest{ceph: ceph, exporter: exporter.New(exporter.Options{}, exporter.NewQEMU(exporter.QEMUOptions{
		Procfs: "/proc", GanetiRun: t.TempDir(), CephctlRun: s.runDir, CephRun: ceph.RunDir, Caller: &adminsocket.Client{},
	}))}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s.do("node", "add", "--address", "127.0.0.1", strings.SplitN(host, ".", 2)[0])
	s.do("cluster", "modify", "-D", "rbd:pool="+instancePool+",user=guest,conf="+ceph.GuestConf)
	return s
}

// run runs cephctl and returns what it prints and its exit code.
func (s *site) run(args ...string) (out string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env = append(os.Environ(), "CEPHCTL_CONFIG=", "CEPHCTL_STATE_DIR="+s.dir, "CEPHCTL_RUN_DIR="+s.runDir, "CEPHCTL_LOG_FILE="+s.dir+"/log")
	text, err := cmd.CombinedOutput()
	s.t.Logf("cephctl %s\n%s", strings.Join(args, " "), text)
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// do runs cephctl, which has to be able to do it.
func (s *site) do(args ...string) string {
	s.t.Helper()
	out, code := s.run(args...)
	if code != 0 {
		s.t.Fatalf("cephctl %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// refuse runs cephctl, which has to refuse with a code and say all the words.
func (s *site) refuse(code int, words []string, args ...string) {
	s.t.Helper()
	out, got := s.run(args...)
	if got != code {
		s.t.Errorf("cephctl %s: exit code %d, want %d: %s", strings.Join(args, " "), got, code, out)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			s.t.Errorf("cephctl %s does not say %q: %s", strings.Join(args, " "), word, out)
		}
	}
}

// add adds an instance that boots a program from an image of its own name.
func (s *site) add(name string, boot func(image string) error) {
	s.t.Helper()
	if err := boot(name); err != nil {
		s.t.Fatal(err)
	}
	s.do("instance", "add", "--memory", "32M", "--disk", "image="+name, name)
}

// writes makes an image whose program writes size MiB and reads them back.
func (s *site) writes(size int, steady bool) func(string) error {
	return func(image string) error {
		return s.ceph.CreateBootImage(s.t.Context(), instancePool, image, size, steady)
	}
}

func (s *site) guestFile(folder, name string) string {
	return filepath.Join(s.runDir, "kvm", folder, name)
}

// pid returns the process of an instance that runs.
func (s *site) pid(name string) int {
	s.t.Helper()
	var info struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(s.do("instance", "info", "-o", "json", name)), &info); err != nil || info.PID == 0 {
		s.t.Fatalf("%s does not run (%v)", name, err)
	}
	return info.PID
}

// kill ends a process that cephctl has started, and waits until it is gone.
func (s *site) kill(pid int) {
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
		time.Sleep(20 * time.Millisecond)
	}
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// killAll ends what a failed test has left.
func (s *site) killAll() {
	files, _ := filepath.Glob(s.guestFile("pid", "*"))
	for _, file := range files {
		var pid int
		if data, err := os.ReadFile(file); err == nil {
			if _, err := fmt.Sscan(string(data), &pid); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// monitor gives a command to the monitor for people of an instance, and returns when QEMU has carried it out: it has
// another prompt then, or is gone. What it has not read yet when the connection is closed, it never reads.
func (s *site) monitor(name, command string) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.guestFile("ctrl", name+".monitor"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	prompts := bufio.NewReader(conn)
	awaitPrompt(s.t, prompts)
	if _, err := conn.Write([]byte(command + "\n")); err != nil {
		s.t.Fatal(err)
	}
	awaitPrompt(s.t, prompts)
}

// awaitPrompt reads up to the next prompt of a monitor, or to the end.
func awaitPrompt(t *testing.T, monitor *bufio.Reader) {
	t.Helper()
	for said := ""; !strings.HasSuffix(said, "(qemu) "); {
		text, err := monitor.ReadString(' ')
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return
		}
		if err != nil {
			t.Fatalf("the monitor says %q: %v", said+text, err)
		}
		said += text
	}
}

// verified boots an instance anew and waits until its program says that it has read back what it has written.
func (s *site) verified(name string) {
	s.t.Helper()
	serial := s.serial(name)
	defer serial.Close()
	s.monitor(name, "system_reset")
	s.hear(serial, name, "verified")
}

// serial connects to COM1 of an instance.
func (s *site) serial(name string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("unix", s.guestFile("ctrl", name+".serial"))
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// hear reads until the program of an instance says a word.
func (s *site) hear(serial net.Conn, name, word string) {
	s.t.Helper()
	_ = serial.SetReadDeadline(time.Now().Add(patience))
	said, buf := "", make([]byte, 256)
	for !strings.Contains(said, word) {
		n, err := serial.Read(buf)
		said += string(buf[:n])
		if err != nil || strings.Contains(said, "failed") {
			s.t.Fatalf("%s does not say %q: %q, %v", name, word, said, err)
		}
	}
}

// nothingLeft wants no file, process or claim of an instance.
func (s *site) nothingLeft(name string) {
	s.t.Helper()
	for _, folder := range []string{"pid", "ctrl", "conf"} {
		if files, _ := filepath.Glob(s.guestFile(folder, name+"*")); len(files) > 0 {
			s.t.Errorf("there are still %v", files)
		}
	}
	if out, err := exec.Command("pgrep", "-f", "pidfile "+s.guestFile("pid", name)).Output(); err == nil {
		s.t.Errorf("QEMU still runs: %s", out)
	}
	out := s.do("instance", "info", name)
	for _, line := range []string{"state           stopped\n", "claimed by  -\n", "watchers    -\n"} {
		if strings.Contains(out, "access") && !strings.Contains(out, line) && !strings.Contains(out, "problem") {
			s.t.Errorf("there is no line %q", line)
		}
	}
}

// hash returns a checksum of an image.
func (s *site) hash(image string) string {
	s.t.Helper()
	data, err := s.ceph.RBD(s.t.Context(), "export", "--no-progress", instancePool+"/"+image, "-")
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// image writes a program of a boot sector to a new image.
func (s *site) image(image string, program []byte) error {
	sector := make([]byte, 1<<20)
	copy(sector, program)
	sector[510], sector[511] = 0x55, 0xaa
	file := filepath.Join(s.t.TempDir(), "sector")
	if err := os.WriteFile(file, sector, 0o600); err != nil {
		return err
	}
	_, err := s.ceph.RBD(s.t.Context(), "import", "--no-progress", file, instancePool+"/"+image)
	return err
}

// testData is the way of an instance: it writes and reads back, survives what a cluster survives, is shown by the exporter
// with all labels, and has its data after a stop and a start.
func (s *site) testData() {
	s.add("data.lab", s.writes(8, true))
	s.do("instance", "start", "data.lab")
	s.verified("data.lab")
	out := s.do("instance", "info", "data.lab")
	for _, want := range []string{"access      userspace (default)\n", "path        rbd:vms/data.lab\n", "claimed by  instance data.lab on ", "state           running\n"} {
		if !strings.Contains(out, want) {
			s.t.Errorf("info lacks %q", want)
		}
	}
	s.do("instance", "start", "data.lab") // it runs: nothing to do
	written := `qemu_disk_write_bytes_total{ganeti_instance="data.lab",disk="0"}`
	s.watcher.awaitSample(s.t, `qemu_disk_info{ganeti_instance="data.lab",disk="0",uuid="`, `,access="userspace",driver="rbd",cache="writethrough",pool="vms",image="data.lab"}`)
	s.watcher.awaitSample(s.t, `qemu_disk_librbd_write_bytes_total{ganeti_instance="data.lab",disk="0"}`, "")
	s.survives(written, "an OSD that restarts", func() error {
		return errors.Join(s.ceph.StopDaemon("osd.0"), s.ceph.StartDaemon("osd.0"))
	})
	s.survives(written, "a mon that is lost", func() error { return s.ceph.KillDaemon("mon.b") })
	if err := s.ceph.StartDaemon("mon.b"); err != nil {
		s.t.Fatal(err)
	}
	s.verified("data.lab")
	s.do("instance", "stop", "--timeout", "1s", "data.lab")
	s.nothingLeft("data.lab")
	before := s.hash("data.lab")
	s.do("instance", "start", "data.lab")
	s.verified("data.lab")
	s.do("instance", "stop", "--timeout", "0s", "data.lab")
	if after := s.hash("data.lab"); after != before {
		s.t.Error("the data are not the same after a stop and a start")
	}
	s.do("instance", "remove", "data.lab")
	s.hash("data.lab") // the image stays
}

// survives does something to the cluster and wants the guest to go on writing.
func (s *site) survives(counter, what string, do func() error) {
	s.t.Helper()
	if err := do(); err != nil {
		s.t.Fatal(err)
	}
	s.watcher.awaitSample(s.t, counter, "")
	before := s.watcher.scrape()[counter]
	for deadline := time.Now().Add(patience); s.watcher.scrape()[counter] < before+64<<10; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the guest does not write any more after %s", what)
		}
	}
	if failed := s.watcher.scrape()[strings.Replace(counter, "write_bytes", "write_operations_failed", 1)]; failed > 0 {
		s.t.Errorf("%v writes have failed by %s", failed, what)
	}
}

// powersOff is a program for 0000:7c00 that waits for the power button of QEMU's PIIX4 and powers the machine off. While it
// waits it says so on COM1, again and again: before, the button does nothing.
var powersOff = []byte{
	0xfa,             // cli
	0xba, 0x02, 0x06, // mov dx, 0x602: the events that are wanted
	0xb8, 0x00, 0x01, // mov ax, 0x100: the button
	0xef,             // out dx, ax
	0xba, 0xf8, 0x03, // again: mov dx, 0x3f8
	0xb0, powersOffReady, // mov al, powersOffReady
	0xee,             // out dx, al
	0xba, 0x00, 0x06, // mov dx, 0x600: the events that there were
	0xed,             // in ax, dx
	0xf6, 0xc4, 0x01, // test ah, 1
	0x74, 0xf1, // jz again
	0xba, 0x04, 0x06, // mov dx, 0x604
	0xb8, 0x00, 0x20, // mov ax, 0x2000
	0xef, // out dx, ax: off
}

// powersOffReady is what powersOff says, which no BIOS does.
const powersOffReady = '\x06'

// testShutdown stops a guest that listens to ACPI.
func (s *site) testShutdown() {
	s.add("acpi.lab", func(image string) error { return s.image(image, powersOff) })
	s.do("instance", "start", "acpi.lab")
	serial := s.serial("acpi.lab")
	s.hear(serial, "acpi.lab", string(powersOffReady))
	serial.Close()
	if out := s.do("instance", "stop", "--timeout", "2m", "acpi.lab"); !strings.Contains(out, "shut down") {
		s.t.Errorf("the guest has not shut itself down: %s", out)
	}
	s.nothingLeft("acpi.lab")
	if out := s.do("instance", "stop", "acpi.lab"); !strings.Contains(out, "nothing to do") {
		s.t.Errorf("a second stop says %s", out)
	}
}

// testEnded starts an instance again whose guest has ended by itself, or with its host.
func (s *site) testEnded() {
	s.add("ended.lab", s.writes(4, true))
	for _, end := range []func(){
		func() { s.monitor("ended.lab", "quit") },
		func() { s.kill(s.pid("ended.lab")) },
	} {
		s.do("instance", "start", "ended.lab")
		s.verified("ended.lab")
		pid := s.pid("ended.lab")
		end()
		for !isZombie(pid) {
			time.Sleep(20 * time.Millisecond)
		}
		if out := s.do("instance", "info", "ended.lab"); !strings.Contains(out, "(which is dead)") || !strings.Contains(out, "stopped") {
			s.t.Error("info does not say that the holder of the claim is dead")
		}
	}
	s.do("instance", "start", "ended.lab")
	s.verified("ended.lab")
	s.do("instance", "stop", "--timeout", "0s", "ended.lab")
	s.nothingLeft("ended.lab")
}

// testOddNames uses names with every character that may be in one.
func (s *site) testOddNames() {
	const pool = "Pool_1.x-y"
	const image = ` !"#$%&'()*+,-.0Az:;<=>?[\]^_{|}~é`
	if err := s.ceph.CreatePool(s.t.Context(), pool); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.ceph.RBD(s.t.Context(), "create", "--size", "4M", "--pool", pool, "--image", image); err != nil {
		s.t.Fatal(err)
	}
	s.do("cluster", "modify", "-D", "rbd:pool="+pool)
	defer s.do("cluster", "modify", "-D", "rbd:pool="+instancePool)
	s.do("instance", "add", "--memory", "32M", "--disk", "image="+strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(image), "0-Odd.Name-9")
	defer s.do("instance", "remove", "0-Odd.Name-9")
	s.do("instance", "start", "0-Odd.Name-9")
	var info struct {
		Looks []struct {
			Path string `json:"path"`
		} `json:"disk_states"`
	}
	if err := json.Unmarshal([]byte(s.do("instance", "info", "-o", "json", "0-Odd.Name-9")), &info); err != nil {
		s.t.Fatal(err)
	}
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(image)
	s.watcher.awaitSample(s.t, `qemu_disk_info{ganeti_instance="0-Odd.Name-9",disk="0",`, `,pool="`+pool+`",image="`+escaped+`"}`)
	s.refuse(3, []string{"disk-parameter-in-use", "0-Odd.Name-9"}, "cluster", "modify", "-D", "rbd:pool="+instancePool)
	s.do("instance", "stop", "--timeout", "0s", "0-Odd.Name-9")
	// The KVM device path is what QEMU takes for a file name; an option of -drive wants its commas twice.
	path := strings.ReplaceAll(info.Looks[0].Path, ",", ",,")
	qemu := exec.CommandContext(s.t.Context(), "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio",
		"-drive", "if=none,id=disk,format=raw,readonly=on,file="+path+":id=guest:conf="+s.ceph.GuestConf)
	qemu.Stdin = strings.NewReader(`{"execute":"qmp_capabilities"} {"execute":"query-block"} {"execute":"quit"}`)
	out, err := qemu.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(`"virtual-size": 4194304`)) {
		s.t.Errorf("QEMU does not take the path %s: %v: %s", path, err, out)
	}
}

// testSeveral has disks that are made, one of them in a cache mode of its own, and a NIC, and removes them.
func (s *site) testSeveral() {
	s.do("instance", "add", "--memory", "32M", "--vcpus", "2", "--disk", "size=4M", "--disk", "size=8M,image=second", "--nic", "user,mac=52:54:00:00:00:01", "several.lab")
	s.refuse(3, []string{"instance-exists"}, "instance", "add", "--disk", "size=4M", "several.lab")
	s.refuse(3, []string{"image-taken", "several.lab"}, "instance", "add", "--disk", "image=second", "other.lab")
	s.do("group", "modify", "-D", "rbd:cache=none", "default")
	defer s.do("group", "modify", "-D", "rbd:cache=", "default")
	s.do("instance", "start", "several.lab")
	if out := s.do("instance", "list", "--columns", "name,state,disks,access,nics"); !strings.Contains(out, "several.lab  running  2") {
		s.t.Errorf("list says %s", out)
	}
	s.refuse(3, []string{"instance-running"}, "instance", "remove", "several.lab")
	runtime, err := os.ReadFile(s.guestFile("conf", "several.lab.runtime"))
	if err != nil || !bytes.Contains(runtime, []byte(`\"direct\":true`)) || !bytes.Contains(runtime, []byte(`52:54:00:00:00:01`)) {
		s.t.Errorf("runtime file %s, %v", runtime, err)
	}
	s.do("instance", "stop", "--timeout", "0s", "several.lab")
	s.refuse(3, []string{"consent"}, "instance", "remove", "--images", "several.lab")
	s.do("instance", "remove", "--images", "--yes", "several.lab")
	if _, err := s.ceph.RBD(s.t.Context(), "info", instancePool+"/second"); err == nil {
		s.t.Error("the image is still there")
	}
}

// testRace starts the same image from two installations at once, again and again: one wins, and the other names it.
func (s *site) testRace() {
	other := newSite(s.t, s.ceph, s.binary)
	if err := s.writes(4, true)("raced"); err != nil {
		s.t.Fatal(err)
	}
	sites := map[string]*site{"left.lab": s, "right.lab": other}
	for name, site := range sites {
		site.do("instance", "add", "--memory", "32M", "--disk", "image=raced", name)
	}
	for range 3 {
		var all sync.WaitGroup
		var mu sync.Mutex
		codes, said := map[string]int{}, map[string]string{}
		for name, site := range sites {
			all.Go(func() {
				out, code := site.run("instance", "start", name)
				mu.Lock()
				defer mu.Unlock()
				codes[name], said[name] = code, out
			})
		}
		all.Wait()
		winner, loser := "left.lab", "right.lab"
		if codes[winner] != 0 {
			winner, loser = loser, winner
		}
		if codes[winner] != 0 || codes[loser] == 0 {
			s.t.Fatalf("exit codes %v: want one winner", codes)
		}
		if !strings.Contains(said[loser], winner) && !strings.Contains(said[loser], "open elsewhere") {
			s.t.Errorf("the loser does not name the winner: %s", said[loser])
		}
		sites[loser].nothingLeftOf(loser)
		sites[winner].verified(winner)
		// While it runs there is no doubt who it is.
		sites[loser].refuse(3, []string{"image-claimed", winner}, "instance", "start", loser)
		sites[winner].do("instance", "stop", "--timeout", "0s", winner)
	}
}

// nothingLeftOf wants no file of an instance.
func (s *site) nothingLeftOf(name string) {
	s.t.Helper()
	for _, folder := range []string{"pid", "ctrl", "conf"} {
		if files, _ := filepath.Glob(s.guestFile(folder, name+"*")); len(files) > 0 {
			s.t.Errorf("there are still %v", files)
		}
	}
}

// testOpenElsewhere leaves an image alone that somebody writes to who makes no claims, as Ganeti does.
func (s *site) testOpenElsewhere() {
	s.add("elsewhere.lab", s.writes(4, true))
	guest, err := s.ceph.StartGuest(s.t.Context(), lab.GuestOptions{Name: "ganeti.lab", Disks: []lab.Disk{{Pool: instancePool, Image: "elsewhere.lab"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := guest.WaitVerified(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.refuse(3, []string{"image-in-use", "client 127.0.0.1:0/"}, "instance", "start", "elsewhere.lab")
	s.refuse(3, []string{"image-in-use"}, "instance", "start", "--break-claim", "--yes", "elsewhere.lab")
	if err := guest.Stop(); err != nil {
		s.t.Fatal(err)
	}
}
