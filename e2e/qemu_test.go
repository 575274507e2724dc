package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/digitalocean/go-qemu/qmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// TestQEMU watches real guests, with their disks in each of Ganeti's two forms.
func TestQEMU(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	lab.RequireCeph(t)
	lab.RequireGuest(t)
	ceph := startCeph(t)
	conn := rados.New(exporterOptions(t, ceph))
	t.Cleanup(conn.Close)
	q := &qemuTest{ceph: ceph, exporter: exporter.New(
		exporter.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))},
		exporter.NewQEMU(exporter.QEMUOptions{
			Procfs: "/proc", GanetiRun: ceph.GanetiRunDir, CephctlRun: t.TempDir(), CephRun: ceph.RunDir,
			Caller: &adminsocket.Client{},
		}),
		exporter.NewCluster(exporter.ClusterOptions{Leader: exporter.LeaderCheck{Mode: exporter.ClusterAlways}, Runner: conn}),
	)}
	for name, blockdev := range map[string]bool{"drive": false, "blockdev": true} {
		t.Run(name, func(t *testing.T) {
			pool := "vms-" + name
			if err := ceph.CreatePool(t.Context(), pool); err != nil {
				t.Fatal(err)
			}
			options := lab.GuestOptions{
				Name: name + ".lab", Blockdev: blockdev,
				Disks: []lab.Disk{{Pool: pool, Image: name + ".disk0"}, {Pool: pool, Image: name + ".disk1"}},
			}
			if err := ceph.CreateImage(t.Context(), pool, options.Disks[1].Image, 16); err != nil {
				t.Fatal(err)
			}
			guest := q.start(t, options, 64)
			q.testAccounts(t, options, 64)
			q.testPoolAccounts(t, pool, 64)
			q.testBusy(t, guest)
			q.testStopped(t, guest)
			q.testRestart(t, guest, options)
		})
	}
}

type qemuTest struct {
	ceph     *lab.Ceph
	exporter *exporter.Exporter
}

// start starts a guest and waits until it has written as many MiB to its first disk.
func (q *qemuTest) start(t *testing.T, options lab.GuestOptions, size int) *lab.Guest {
	t.Helper()
	if err := q.ceph.CreateBootImage(t.Context(), options.Disks[0].Pool, options.Disks[0].Image, size, false); err != nil {
		t.Fatal(err)
	}
	guest, err := q.ceph.StartGuest(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := guest.WaitVerified(t.Context()); err != nil {
		t.Fatal(err)
	}
	return guest
}

// scrape returns the values of the samples by name and labels, as they stand in the text.
func (q *qemuTest) scrape() map[string]float64 {
	rec := httptest.NewRecorder()
	q.exporter.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	values := make(map[string]float64)
	for line := range strings.Lines(rec.Body.String()) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if value, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
				values[line[:i]] = value
			}
		}
	}
	return values
}

// await scrapes until the sample has the value.
func (q *qemuTest) await(t *testing.T, sample string, want float64) map[string]float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		values := q.scrape()
		got, ok := values[sample]
		if ok && got == want {
			return values
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s is %v (there: %v), want %v", sample, got, ok, want)
		}
	}
}

func upOf(guest string) string { return fmt.Sprintf("qemu_up{ganeti_instance=%q}", guest) }

// testAccounts checks that QMP and librbd account for the MiB that the guest wrote, under labels that join.
func (q *qemuTest) testAccounts(t *testing.T, options lab.GuestOptions, size int) {
	t.Helper()
	bytes := float64(size << 20)
	labels := fmt.Sprintf("{ganeti_instance=%q,disk=\"0\"}", options.Name)
	written := "qemu_disk_write_bytes_total" + labels
	q.await(t, "qemu_disk_librbd_write_bytes_total"+labels, bytes)
	values := q.await(t, written, bytes)
	if got := values["qemu_disk_read_bytes_total"+labels]; got < bytes {
		t.Errorf("guest has read %v bytes, want at least the %v that it compared", got, bytes)
	}
	if got, want := values["qemu_disk_size_bytes"+labels], bytes+1<<20; got != want {
		t.Errorf("disk has %v bytes, want %v", got, want)
	}
	for i, disk := range options.Disks {
		info := fmt.Sprintf(`qemu_disk_info{ganeti_instance=%q,disk="%d",uuid=%q,access="userspace",driver="rbd",cache="`,
			options.Name, i, disk.UUID())
		names := fmt.Sprintf(`pool=%q,image=%q}`, disk.Pool, disk.Image)
		if !hasSample(values, info, names) {
			t.Errorf("no sample %s…%s", info, names)
		}
	}
	if !hasSample(values, fmt.Sprintf(`qemu_status{ganeti_instance=%q,status="running"}`, options.Name), "") {
		t.Error("guest is not running")
	}
}

// testPoolAccounts checks that the counters of the pool, which qemu_disk_info names, account for what the guest wrote.
// Besides, only the boot program and the images' headers were written into it.
func (q *qemuTest) testPoolAccounts(t *testing.T, pool string, size int) {
	t.Helper()
	const besides = 16 << 20
	written := 0.0
	for end := time.Now().Add(patience); written < float64(size<<20); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("pool %s counts %v written bytes, want %d MiB", pool, written, size)
		}
		written = poolWritten(q.scrape(), pool)
	}
	if written > float64(size<<20+besides) {
		t.Errorf("pool %s counts %v written bytes, want about %d MiB", pool, written, size)
	}
}

// poolWritten joins ceph_pool_wr_bytes with ceph_pool_metadata by pool_id.
func poolWritten(values map[string]float64, pool string) float64 {
	const metadata = `ceph_pool_metadata{pool_id="`
	for sample := range values {
		id, rest, _ := strings.Cut(strings.TrimPrefix(sample, metadata), `"`)
		if strings.HasPrefix(sample, metadata) && strings.HasPrefix(rest, fmt.Sprintf(",name=%q,", pool)) {
			return values[fmt.Sprintf("ceph_pool_wr_bytes{pool_id=%q}", id)]
		}
	}
	return 0
}

func hasSample(values map[string]float64, start, end string) bool {
	for sample := range values {
		if strings.HasPrefix(sample, start) && strings.HasSuffix(sample, end) {
			return true
		}
	}
	return false
}

// awaitSample scrapes until there is a sample that begins and ends so.
func (q *qemuTest) awaitSample(t *testing.T, start, end string) {
	t.Helper()
	values := q.scrape()
	for deadline := time.Now().Add(patience); !hasSample(values, start, end); values = q.scrape() {
		if time.Now().After(deadline) {
			t.Fatalf("no sample %s…%s: %v", start, end, values)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// testBusy holds the guest's monitors, as Ganeti does, with go-qemu's client.
func (q *qemuTest) testBusy(t *testing.T, guest *lab.Guest) {
	t.Helper()
	socket := lab.GuestQMP(guest.RunDir, guest.Name)
	first := hold(t, strings.TrimSuffix(socket, "qmp")+"kvmd")
	q.await(t, upOf(guest.Name), 1) // by the other of the two
	second := hold(t, socket)
	busy := fmt.Sprintf("qemu_monitor_busy{ganeti_instance=%q}", guest.Name)
	values := q.await(t, busy, 1)
	if got, ok := values[upOf(guest.Name)]; ok {
		t.Errorf("both monitors are held: up is %v, want none", got)
	}
	if answer, err := second.Run([]byte(`{"execute":"query-status"}`)); err != nil || !strings.Contains(string(answer), "running") {
		t.Errorf("who holds the monitor is disturbed: %s, %v", answer, err)
	}
	for _, m := range []*qmp.SocketMonitor{first, second} {
		if err := m.Disconnect(); err != nil {
			t.Error(err)
		}
	}
	q.await(t, busy, 0)
	q.await(t, upOf(guest.Name), 1)
}

func hold(t *testing.T, path string) *qmp.SocketMonitor {
	t.Helper()
	m, err := qmp.NewSocketMonitor("unix", path, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Connect(); err != nil {
		t.Fatal(err)
	}
	return m
}

// testStopped stops QEMU: the guest is down, gets no further connection, and is well when QEMU goes on.
func (q *qemuTest) testStopped(t *testing.T, guest *lab.Guest) {
	t.Helper()
	if err := guest.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		values := q.scrape()
		if got, ok := values[upOf(guest.Name)]; !ok || got != 0 {
			t.Errorf("stopped: up is %v (there: %v), want 0", got, ok)
		}
		if hasSample(values, fmt.Sprintf("qemu_disk_write_bytes_total{ganeti_instance=%q", guest.Name), "") {
			t.Error("stopped: counters are still there")
		}
	}
	if err := guest.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	q.await(t, upOf(guest.Name), 1)
}

// testRestart checks that the counters begin anew with the guest, and end with it.
func (q *qemuTest) testRestart(t *testing.T, guest *lab.Guest, options lab.GuestOptions) {
	t.Helper()
	if err := guest.Stop(); err != nil {
		t.Fatal(err)
	}
	for sample := range q.scrape() {
		if strings.Contains(sample, options.Name) {
			t.Errorf("guest is gone, got %s", sample)
		}
	}
	options.Disks = []lab.Disk{{Pool: options.Disks[0].Pool, Image: options.Disks[0].Image + ".again"}}
	q.start(t, options, 4)
	q.testAccounts(t, options, 4)
}
