package e2e

import (
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goceph "github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

const mib = 1 << 20

// TestRBD runs the rbd collector with the documented key on a cluster whose images come, change and go.
func TestRBD(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	lab.RequireCeph(t)
	cluster := startCeph(t)
	conn := rados.New(exporterOptions(t, cluster))
	t.Cleanup(conn.Close)
	collector := exporter.NewRBD(exporter.RBDOptions{
		Cluster:     rbd.Cluster{Conn: conn},
		Leader:      exporter.LeaderCheck{Mode: exporter.ClusterAlways},
		GuestImages: func() []ceph.Image { return nil },
		Refresh:     500 * time.Millisecond,
		Perf:        true,
	})
	t.Cleanup(func() { collector.Close() })
	r := &rbdTest{cluster: cluster, scraped: exporter.New(exporter.Options{}, collector)}

	r.pool(t, "vms")
	r.pool(t, "other")
	r.ceph(t, "osd", "pool", "create", "plain")
	t.Run("info", r.testInfo)
	t.Run("watchers", r.testWatchers)
	t.Run("usage", r.testUsage)
	t.Run("invalid object map", r.testInvalidObjectMap)
	t.Run("counters", r.testCounters)
	t.Run("changes", r.testChanges)
	t.Run("pool", r.testPool)
	t.Run("hung OSDs", r.testHungOSDs)
}

type rbdTest struct {
	cluster *lab.Ceph
	scraped http.Handler
}

func (r *rbdTest) ceph(t *testing.T, args ...string) {
	t.Helper()
	if _, err := r.cluster.Ceph(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

func (r *rbdTest) rbd(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.cluster.RBD(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (r *rbdTest) pool(t *testing.T, name string) {
	t.Helper()
	if err := r.cluster.CreatePool(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// scrape returns all that the exporter gives.
func (r *rbdTest) scrape() string { return scrape(r.scraped) }

// eventually scrapes until the answer has all the lines in want, and none that begins with one in not.
func (r *rbdTest) eventually(t *testing.T, want, not []string) {
	t.Helper()
	await(t, r.scraped, want, not)
}

func (r *rbdTest) testInfo(t *testing.T) {
	r.rbd(t, "create", "--size", "64M", "vms/disk")
	r.rbd(t, "snap", "create", "vms/disk@s1")
	r.rbd(t, "snap", "protect", "vms/disk@s1")
	r.rbd(t, "clone", "vms/disk@s1", "other/child")
	r.rbd(t, "namespace", "create", "vms/tenant")
	r.rbd(t, "create", "--size", "32M", "vms/tenant/disk")
	r.rbd(t, "create", "--size", "16M", "--image-feature", "layering", "vms/simple")
	r.rbd(t, "create", "--size", "16M", "vms/trashed")
	r.rbd(t, "trash", "mv", "vms/trashed")

	const features = `features="layering,exclusive-lock,object-map,fast-diff,deep-flatten"`
	r.eventually(t, []string{
		`ceph_rbd_image_info{pool="vms",image="disk",image_id="` + r.id(t, "vms/disk") + `",` + features + `} 1`,
		`ceph_rbd_image_info{pool="vms",namespace="tenant",image="disk",image_id="` + r.id(t, "vms/tenant/disk") + `",` + features + `} 1`,
		`ceph_rbd_image_info{pool="vms",image="simple",image_id="` + r.id(t, "vms/simple") + `",features="layering"} 1`,
		`ceph_rbd_image_info{pool="other",image="child",image_id="` + r.id(t, "other/child") + `",` + features +
			`,parent_pool="vms",parent_image="disk",parent_snapshot="s1"} 1`,
		`ceph_rbd_image_size_bytes{pool="vms",image="disk"} 6.7108864e+07`,
		`ceph_rbd_image_size_bytes{pool="vms",namespace="tenant",image="disk"} 3.3554432e+07`,
		`ceph_rbd_image_snapshots{pool="vms",image="disk"} 1`,
		`ceph_rbd_image_snapshots{pool="vms",image="simple"} 0`,
		`ceph_rbd_images{pool="vms"} 2`,
		`ceph_rbd_images{pool="vms",namespace="tenant"} 1`,
		`ceph_rbd_images{pool="other"} 1`,
		`ceph_rbd_images_dropped{pool="vms"} 0`,
	}, []string{`ceph_rbd_images{pool="plain"`})
}

func (r *rbdTest) id(t *testing.T, image string) string {
	t.Helper()
	_, after, _ := strings.Cut(r.rbd(t, "info", image), "\tid: ")
	id, _, _ := strings.Cut(after, "\n")
	return id
}

// ioctx gives what a guest has: read and write access to a pool.
func (r *rbdTest) ioctx(t *testing.T, pool string) *goceph.IOContext {
	t.Helper()
	conn, err := goceph.NewConnWithUser("guest")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.ReadConfigFile(r.cluster.Conf); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetConfigOption("keyring", r.cluster.GuestKeyring); err != nil {
		t.Fatal(err)
	}
	if err := conn.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Shutdown)
	ioctx, err := conn.OpenIOContext(pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ioctx.Destroy)
	return ioctx
}

// open opens an image as a guest does.
func (r *rbdTest) open(t *testing.T, pool, name string) *librbd.Image {
	t.Helper()
	image, err := librbd.OpenImage(r.ioctx(t, pool), name, librbd.NoSnapshot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { image.Close() })
	return image
}

// The collector's own reading is no watcher and takes no lock from a guest.
func (r *rbdTest) testWatchers(t *testing.T) {
	r.eventually(t, []string{`ceph_rbd_image_watchers{pool="vms",image="disk"} 0`}, nil)
	image := r.open(t, "vms", "disk")
	if err := image.LockAcquire(librbd.LockModeExclusive); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, []string{`ceph_rbd_image_watchers{pool="vms",image="disk"} 1`}, nil)
	for range 20 {
		if n := strings.Count(r.rbd(t, "status", "vms/disk"), "watcher="); n != 1 {
			t.Fatalf("%d watchers while the collector reads, want the guest's", n)
		}
	}
	if owner, err := image.LockIsExclusiveOwner(); err != nil || !owner {
		t.Errorf("the guest has the lock: %v, %v, want true", owner, err)
	}
	if err := image.Close(); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, []string{`ceph_rbd_image_watchers{pool="vms",image="disk"} 0`}, nil)
}

func (r *rbdTest) testUsage(t *testing.T) {
	r.write(t, "vms", "disk", 8*mib)
	r.rbd(t, "create", "--size", "1T", "vms/large")
	r.eventually(t, []string{
		`ceph_rbd_image_used_bytes{pool="vms",image="disk"} 8.388608e+06`,
		`ceph_rbd_image_used_bytes{pool="vms",image="large"} 0`,
		`ceph_rbd_image_used_bytes{pool="other",image="child"} 0`,
		`ceph_rbd_image_used_bytes{pool="vms",namespace="tenant",image="disk"} 0`,
	}, []string{`ceph_rbd_image_used_bytes{pool="vms",image="simple"}`})
	r.rbd(t, "rm", "vms/large")
}

// write writes so many bytes from the beginning of an image, a MiB at a time.
func (r *rbdTest) write(t *testing.T, pool, name string, n int64) {
	t.Helper()
	image := r.open(t, pool, name)
	block := make([]byte, mib)
	for i := range block {
		block[i] = byte(i)
	}
	for offset := int64(0); offset < n; offset += mib {
		if _, err := image.WriteAt(block, offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := image.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := image.Close(); err != nil {
		t.Fatal(err)
	}
}

// Without a valid object map the usage could only be had by looking at every object.
func (r *rbdTest) testInvalidObjectMap(t *testing.T) {
	r.rbd(t, "create", "--size", "16M", "vms/invalid")
	used := `ceph_rbd_image_used_bytes{pool="vms",image="invalid"}`
	r.eventually(t, []string{used + " 0"}, nil)
	header := "rbd_header." + r.id(t, "vms/invalid")
	invalid := binary.LittleEndian.AppendUint64(nil, 1)
	if err := r.ioctx(t, "vms").SetOmap(header, map[string][]byte{"flags": invalid}); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, []string{`ceph_rbd_image_size_bytes{pool="vms",image="invalid"} 1.6777216e+07`}, []string{used})
	r.rbd(t, "object-map", "rebuild", "vms/invalid")
	r.eventually(t, []string{used + " 0"}, nil)
	r.rbd(t, "rm", "vms/invalid")
}

// What a guest writes is what the mgr counts, from the moment when the OSDs know that they shall: so a MiB after the
// other is written until the first is seen.
func (r *rbdTest) testCounters(t *testing.T) {
	r.rbd(t, "create", "--size", "64M", "vms/tenant/busy")
	ioctx := r.ioctx(t, "vms")
	ioctx.SetNamespace("tenant")
	image, err := librbd.OpenImage(ioctx, "busy", librbd.NoSnapshot)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	written := 0
	write := func(n int) {
		t.Helper()
		for i := range n {
			if _, err := image.WriteAt(make([]byte, mib), int64(i)*mib); err != nil {
				t.Fatal(err)
			}
			if err := image.Flush(); err != nil { // else librbd's cache joins writes
				t.Fatal(err)
			}
		}
		written += n
	}
	const labels = `{pool="vms",namespace="tenant",image="busy"}`
	before := valueOf(r.await(t, "ceph_rbd_write_bytes"+labels, 1, func() { write(1) }), "ceph_rbd_write_bytes"+labels)
	write(32)
	// All of one scrape: between two, the mgr may hear of more.
	text := r.await(t, "ceph_rbd_write_bytes"+labels, before+32*mib, nil)
	if after := valueOf(text, "ceph_rbd_write_bytes"+labels); after > float64(written*mib) {
		t.Errorf("%d MiB were written, the mgr counts %v bytes", written, after)
	}
	ops := valueOf(text, "ceph_rbd_write_ops"+labels)
	if ops < 32 || ops > float64(written) {
		t.Errorf("%d writes were made, the mgr counts %v", written, ops)
	}
	if count := valueOf(text, "ceph_rbd_write_latency_count"+labels); count != ops {
		t.Errorf("%v latencies of %v writes", count, ops)
	}
	if sum := valueOf(text, "ceph_rbd_write_latency_sum"+labels); sum <= 0 {
		t.Errorf("the writes took %v ns", sum)
	}
	r.eventually(t, []string{"ceph_rbd_perf_truncated 0"}, nil)
}

// await returns what a scrape gives in which a series has reached a value, and calls stir, when set, before each scrape.
func (r *rbdTest) await(t *testing.T, series string, least float64, stir func()) (text string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if stir != nil {
			stir()
		}
		if text := r.scrape(); valueOf(text, series) >= least {
			return text
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("%s does not reach %v", series, least)
	return ""
}

// valueOf returns the value of a series in a scrape, -1 when it is not there.
func valueOf(text, series string) float64 {
	for line := range strings.Lines(text) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			if value, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
				return value
			}
		}
	}
	return -1
}

func (r *rbdTest) testChanges(t *testing.T) {
	r.rbd(t, "create", "--size", "8M", "other/new")
	size := `ceph_rbd_image_size_bytes{pool="other",image="new"}`
	r.eventually(t, []string{size + " 8.388608e+06"}, nil)
	old := r.id(t, "other/new")
	r.rbd(t, "resize", "--size", "12M", "other/new")
	r.eventually(t, []string{size + " 1.2582912e+07"}, nil)

	r.rbd(t, "rm", "other/new")
	if text := r.scrape(); strings.Contains(text, `image="new"`) {
		t.Errorf("an image that is deleted has series:\n%s", text)
	}
	r.rbd(t, "create", "--size", "4M", "other/new")
	if text := r.scrape(); strings.Contains(text, old) || strings.Contains(text, size+" 1.2582912e+07") {
		t.Errorf("an image that was made anew has series of the old one:\n%s", text)
	}
	r.eventually(t, []string{size + " 4.194304e+06"}, nil)
	r.rbd(t, "mv", "other/new", "other/renamed")
	r.eventually(t, []string{`ceph_rbd_image_size_bytes{pool="other",image="renamed"} 4.194304e+06`}, []string{size})
}

func (r *rbdTest) testPool(t *testing.T) {
	r.pool(t, "short-lived")
	r.rbd(t, "create", "--size", "8M", "short-lived/a")
	r.eventually(t, []string{`ceph_rbd_image_size_bytes{pool="short-lived",image="a"} 8.388608e+06`}, nil)
	if err := r.cluster.DeletePool(t.Context(), "short-lived"); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, nil, []string{`ceph_rbd_image_size_bytes{pool="short-lived"`, `ceph_rbd_images{pool="short-lived"`})
	r.pool(t, "short-lived")
	r.rbd(t, "create", "--size", "4M", "short-lived/a")
	r.eventually(t, []string{`ceph_rbd_image_size_bytes{pool="short-lived",image="a"} 4.194304e+06`}, nil)
}

func (r *rbdTest) testHungOSDs(t *testing.T) {
	osds := []string{"osd.0", "osd.1", "osd.2"}
	signal := func(sig syscall.Signal) {
		for _, osd := range osds {
			if err := r.cluster.Signal(osd, sig); err != nil {
				t.Error(err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	for range 2 {
		if text := r.scrape(); strings.Contains(text, "ceph_rbd_images{") {
			t.Errorf("images of OSDs that do not answer:\n%s", text)
		}
	}
	signal(syscall.SIGCONT)
	r.eventually(t, []string{`ceph_rbd_image_size_bytes{pool="vms",image="disk"} 6.7108864e+07`}, nil)
}
