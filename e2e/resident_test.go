package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm/qmptest"
)

// The node of BenchmarkNodeResident.
const (
	nodeOSDs   = 60
	nodeGuests = 200
	// firstGuestPID is over what the kernel gives.
	firstGuestPID = 1 << 23
)

// The daemons and guests of a benchmark run in a process of their own: this test binary again, told by the
// environment where the admin sockets and Ganeti's files are.
const (
	nodeRunDir    = "E2E_NODE_RUN_DIR"
	nodeGanetiDir = "E2E_NODE_GANETI_DIR"
	nodeRealOSDs  = 3
)

// TestServeNode is that process; in a run of the tests it does nothing.
func TestServeNode(t *testing.T) {
	run := os.Getenv(nodeRunDir)
	if run == "" {
		return
	}
	osd, client := daemonAnswers(t, "16.2", "osd"), daemonAnswers(t, "16.2", "client")
	for i := nodeRealOSDs; i < nodeOSDs; i++ {
		serveDaemon(t, filepath.Join(run, fmt.Sprintf("ceph-osd.%d.asok", i)), osd)
	}
	for i := range nodeGuests {
		serveDaemon(t, filepath.Join(run, fmt.Sprintf("ceph-client.guest.%d.94.asok", firstGuestPID+i)), client)
		monitor := filepath.Join(os.Getenv(nodeGanetiDir), "kvm-hypervisor/ctrl", guestName(i)+".qmp")
		qmptest.Start(t, monitor, guestAnswers(t, i))
	}
	fmt.Println("serving")
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the benchmark ends
}

func guestName(i int) string { return fmt.Sprintf("inst%d.lab", i) }

func serveDaemon(t *testing.T, path string, answers map[string][]byte) {
	t.Helper()
	if _, err := asoktest.Listen(path, answers); err != nil {
		t.Fatal(err)
	}
}

// daemonAnswers are captured ones, by command.
func daemonAnswers(tb testing.TB, release, daemon string) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("../ceph/adminsocket/testdata/ceph", release, daemon, "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no captured answers of a %s of %s: %v", daemon, release, err)
	}
	answers := map[string][]byte{"get_command_descriptions": []byte(`{"cmd0":{"sig":["perf","dump"]}}`)}
	for _, file := range files {
		command := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".json"), "_", " ")
		answers[command] = []byte(read(tb, file))
	}
	return answers
}

// guestAnswers are those of a guest with four disks of its own.
func guestAnswers(tb testing.TB, i int) map[string]string {
	tb.Helper()
	answers := make(map[string]string)
	own := strings.NewReplacer("disk-932df16", fmt.Sprintf("disk-%08x-", i), "peer", fmt.Sprintf("guest%d-", i))
	for _, command := range []string{"query-status", "query-blockstats", "query-block"} {
		text := read(tb, filepath.Join("../kvm/testdata/qemu/7.2-blockdev", command+".json"))
		answers[command] = own.Replace(strings.TrimSpace(text))
	}
	return answers
}

func read(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// BenchmarkNodeResident reports the resident memory of an exporter on a full node: 60 OSDs, 200 guests with four disks
// each over QMP and an admin socket of librbd, all collectors on, librados connected to a real cluster. One operation
// is 30 scrapes by what Prometheus asks for, two seconds apart. resident-MB is what stays after the last one, of which
// file-MB are pages of the binary and of libraries, and own-MB the others. At the end of scrapes it was first-MB, in which
// all schemas are read, and scrape-MB on average of the others. With EXPORTER_BINARY it measures that one.
func BenchmarkNodeResident(b *testing.B) {
	lab.RequireCeph(b)
	binary := os.Getenv("EXPORTER_BINARY")
	if binary == "" {
		binary = buildExporter(b)
	}
	ceph := startCeph(b)
	if err := ceph.CreatePool(b.Context(), "vms"); err != nil {
		b.Fatal(err)
	}
	keyring, err := ceph.CreateExporterKey(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	procfs := fakeProcfs(b, ceph)
	serveNode(b, ceph)
	for b.Loop() {
		measureResident(b, binary, append(ceph.ExporterArgs(keyring), "--path.procfs="+procfs))
	}
	b.ReportMetric(0, "ns/op")
}

func measureResident(b *testing.B, binary string, args []string) {
	ports, err := lab.FreePorts(1)
	if err != nil {
		b.Fatal(err)
	}
	e, err := lab.StartExporter(b.Context(), binary, fmt.Sprintf("127.0.0.1:%d", ports[0]), args...)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Stop()
	const scrapes = 30
	first, others := 0.0, 0.0
	for i := range scrapes {
		scrapeAsPrometheus(b, e.URL+"/metrics")
		if now := memoryMap(b, e.Pid)["Rss"]; i == 0 {
			first = now
		} else {
			others += now / (scrapes - 1)
		}
		time.Sleep(2 * time.Second)
	}
	rest := memoryMap(b, e.Pid)
	checkNode(b, e)
	b.ReportMetric(rest["Rss"], "resident-MB")
	b.ReportMetric(rest["Rss"]-rest["Anonymous"], "file-MB")
	b.ReportMetric(rest["Anonymous"], "own-MB")
	b.ReportMetric(first, "first-MB")
	b.ReportMetric(others, "scrape-MB")
}

// checkNode fails when something of the node did not answer: then less was measured than is said.
func checkNode(b *testing.B, e *lab.Exporter) {
	text, err := e.Metrics(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s := parseSeries(string(text))
	up := make(map[string]int)
	for key, value := range s {
		if name, _, _ := strings.Cut(key, "{"); value == 1 {
			up[name]++
		}
	}
	// The cluster's own mon and mgr beside the OSDs and clients.
	if up["qemu_up"] != nodeGuests || up["ceph_daemon_socket_up"] != nodeOSDs+nodeGuests+2 || up["ceph_osd_up"] != nodeRealOSDs {
		b.Errorf("up are %d guests, %d admin sockets and %d OSDs of the cluster: see the log\n%s",
			up["qemu_up"], up["ceph_daemon_socket_up"], up["ceph_osd_up"], read(b, e.Log))
	}
}

func buildExporter(b *testing.B) (binary string) {
	b.Helper()
	binary = filepath.Join(b.TempDir(), "ceph-ganeti-exporter")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "../cmd/ceph-ganeti-exporter")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build the exporter: %v: %s", err, out)
	}
	return binary
}

// fakeProcfs makes a procfs in which the guests run and everything else is as it is.
func fakeProcfs(b *testing.B, ceph *lab.Ceph) string {
	b.Helper()
	root := b.TempDir()
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	links := []string{"net", "stat"}
	for _, daemon := range []string{"mon.a", "mgr.x", "osd.0", "osd.1", "osd.2"} {
		links = append(links, strconv.Itoa(ceph.Pid(daemon)))
	}
	for _, name := range links {
		if err := os.Symlink("/proc/"+name, filepath.Join(root, name)); err != nil {
			b.Fatal(err)
		}
	}
	for i := range nodeGuests {
		pid := firstGuestPID + i
		dir := filepath.Join(root, strconv.Itoa(pid))
		write(filepath.Join(dir, "stat"), fmt.Sprintf("%d (qemu-system-x86) S%s %d 0\n", pid, strings.Repeat(" 0", 18), pid))
		write(filepath.Join(dir, "cmdline"), "qemu\x00-name\x00"+guestName(i)+"\x00")
		write(filepath.Join(ceph.GanetiRunDir, "kvm-hypervisor/pid", guestName(i)), strconv.Itoa(pid))
	}
	if err := os.MkdirAll(filepath.Join(ceph.GanetiRunDir, "kvm-hypervisor/ctrl"), 0o755); err != nil {
		b.Fatal(err)
	}
	return root
}

// serveNode starts the process with the fakes.
func serveNode(b *testing.B, ceph *lab.Ceph) {
	b.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0], "-test.run=^TestServeNode$")
	cmd.Env = append(os.Environ(), nodeRunDir+"="+ceph.RunDir, nodeGanetiDir+"="+ceph.GanetiRunDir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "serving\n" {
		b.Fatalf("the fakes say %q: %v", line, err)
	}
}

// scrapeAsPrometheus asks for OpenMetrics in gzip.
func scrapeAsPrometheus(b *testing.B, url string) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		b.Fatal(err)
	}
}

var rollupLine = regexp.MustCompile(`(?m)^(\w+): +(\d+) kB$`)

// memoryMap returns what /proc/PID/smaps_rollup says, in MB.
func memoryMap(b *testing.B, pid int) map[string]float64 {
	b.Helper()
	sizes := make(map[string]float64)
	for _, line := range rollupLine.FindAllStringSubmatch(read(b, fmt.Sprintf("/proc/%d/smaps_rollup", pid)), -1) {
		kib, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			b.Fatal(err)
		}
		sizes[line[1]] = kib * 1024 / 1e6
	}
	return sizes
}
