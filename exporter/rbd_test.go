package exporter

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rbd"
)

// fakeRBD is a cluster that a test can change while it is read.
type fakeRBD struct {
	mu      sync.Mutex
	images  map[string][]fakeImage // by pool
	perf    rbd.Perf
	perfErr error
	asked   int // how often Perf was
	// hung are pools that do not answer before ctx ends, "" stands for the mons.
	hung map[string]bool
	// reading is how long it takes to open an image.
	reading time.Duration
}

type fakeImage struct {
	rbd.Entry
	rbd.Details
	used uint64
}

var _ RBDCluster = (*fakeRBD)(nil)

func (f *fakeRBD) answer(ctx context.Context, pool string) error {
	f.mu.Lock()
	hung := f.hung[pool]
	f.mu.Unlock()
	if hung {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (f *fakeRBD) Pools(ctx context.Context) ([]string, error) {
	if err := f.answer(ctx, ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var pools []string
	for pool := range f.images {
		pools = append(pools, pool)
	}
	return pools, nil
}

func (f *fakeRBD) List(ctx context.Context, pool string) ([]rbd.Entry, error) {
	if err := f.answer(ctx, pool); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	images, ok := f.images[pool]
	if !ok {
		return nil, rbd.ErrGone
	}
	var entries []rbd.Entry
	for _, image := range images {
		entries = append(entries, image.Entry)
	}
	return entries, nil
}

func (f *fakeRBD) find(ctx context.Context, e rbd.Entry) (fakeImage, error) {
	if err := f.answer(ctx, e.Pool); err != nil {
		return fakeImage{}, err
	}
	time.Sleep(f.reading)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, image := range f.images[e.Pool] {
		if image.Entry == e {
			return image, nil
		}
	}
	return fakeImage{}, fmt.Errorf("open %s: %w", e.Image, rbd.ErrGone)
}

func (f *fakeRBD) Read(ctx context.Context, e rbd.Entry) (rbd.Details, error) {
	image, err := f.find(ctx, e)
	return image.Details, err
}

func (f *fakeRBD) Used(ctx context.Context, e rbd.Entry) (uint64, error) {
	image, err := f.find(ctx, e)
	if err == nil && image.used == 0 {
		return 0, rbd.ErrNoUsage
	}
	return image.used, err
}

func (f *fakeRBD) Perf(ctx context.Context) (rbd.Perf, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.perf, f.perfErr
}

// put replaces a pool's images by some of 1 GiB with these names; the id of an image is its name and generation.
func (f *fakeRBD) put(pool string, generation int, names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.images == nil {
		f.images = make(map[string][]fakeImage)
	}
	f.images[pool] = []fakeImage{}
	for _, name := range names {
		f.images[pool] = append(f.images[pool], fakeImage{
			Entry:   rbd.Entry{Image: ceph.Image{Pool: pool, Name: name}, ID: fmt.Sprintf("%s.%d", name, generation)},
			Details: rbd.Details{SizeBytes: uint64(generation) << 30},
		})
	}
}

// change runs a change of the fields while nothing reads them.
func (f *fakeRBD) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeRBD) timesAsked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeRBD) hang(pools ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hung = make(map[string]bool)
	for _, pool := range pools {
		f.hung[pool] = true
	}
}

func (f *fakeRBD) options(mode ClusterMode, guests ...ceph.Image) RBDOptions {
	return RBDOptions{Cluster: f, Leader: LeaderCheck{Mode: mode}, GuestImages: func() []ceph.Image { return guests }}
}

// lines returns the samples of some families, without the families' names.
func lines(text []byte, families ...string) []string {
	found := []string{}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(line, "{"); ok && slices.Contains(families, name) {
			found = append(found, strings.TrimSuffix(line[len(name):], "\n"))
		}
	}
	return found
}

func wantLines(t *testing.T, text []byte, family string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), lines(text, family)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", family, diff)
	}
}

func TestRBD(t *testing.T) {
	image := func(pool, namespace, name, id string) rbd.Entry {
		return rbd.Entry{Image: ceph.Image{Pool: pool, Namespace: namespace, Name: name}, ID: id}
	}
	f := &fakeRBD{
		images: map[string][]fakeImage{
			"vms": {
				{image("vms", "", "web1.disk0", "10a"), rbd.Details{SizeBytes: 10 << 30, Features: 0x3d, Snapshots: 2, Watchers: 1}, 3 << 30},
				{image("vms", "tenant", "db1.disk0", "10b"), rbd.Details{SizeBytes: 20 << 30, Features: 0x3d, Watchers: 1}, 0},
			},
			"templates": {
				{image("templates", "", "clone", "20a"), rbd.Details{SizeBytes: 1 << 30, Features: 1, Parent: &rbd.Parent{
					Image: ceph.Image{Pool: "vms", Namespace: "tenant", Name: "golden"}, Snapshot: "v1",
				}}, 0},
			},
		},
		perf: rbd.Perf{Images: map[ceph.Image]rbd.IO{
			{Pool: "vms", Name: "web1.disk0"}: {
				Reads: 7, ReadBytes: 28672, ReadTime: 3 * time.Millisecond, Writes: 5, WrittenBytes: 20480, WriteTime: 9 * time.Millisecond,
			},
			{Pool: "vms", Name: "deleted"}: {Reads: 1},
		}},
	}
	synctest.Test(t, func(t *testing.T) {
		opts := f.options(ClusterAlways)
		opts.Perf = true
		c := NewRBD(opts)
		defer c.Close()
		ownFamilies(t, c)
		time.Sleep(2 * time.Second)
		got := ownFamilies(t, c)
		checkGolden(t, "testdata/rbd.prom", got)
	})
}

// A node that does not lead exports its guests' images only, and asks the mons nothing.
func TestRBDOnNodeThatDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRBD{}
		f.put("vms", 1, "a", "b")
		f.put("other", 1, "c")
		f.hang("")
		opts := f.options(ClusterNever, ceph.Image{Pool: "vms", Name: "b"}, ceph.Image{Pool: "gone", Name: "x"})
		opts.Perf = true
		c := NewRBD(opts)
		defer c.Close()
		got := ownFamilies(t, c)
		wantLines(t, got, "ceph_rbd_image_size_bytes", `{pool="vms",image="b"} 1.073741824e+09`)
		wantLines(t, got, "ceph_rbd_images")
		if n := f.timesAsked(); n != 0 {
			t.Errorf("the mgr was asked %d times for I/O counters", n)
		}
	})
}

func TestRBDPools(t *testing.T) {
	f := &fakeRBD{}
	for _, pool := range []string{"vms", "vms-ssd", "vms-old", "backup"} {
		f.put(pool, 1, "a")
	}
	for name, tc := range map[string]struct {
		include, exclude *regexp.Regexp
		want             []string
	}{
		"all":     {nil, nil, []string{"backup", "vms", "vms-old", "vms-ssd"}},
		"include": {regexp.MustCompile("^vms"), nil, []string{"vms", "vms-old", "vms-ssd"}},
		"exclude": {nil, regexp.MustCompile("^vms$"), []string{"backup", "vms-old", "vms-ssd"}},
		"both":    {regexp.MustCompile("^vms"), regexp.MustCompile("old"), []string{"vms", "vms-ssd"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := f.options(ClusterAlways, ceph.Image{Pool: "backup", Name: "a"})
				opts.PoolsInclude, opts.PoolsExclude = tc.include, tc.exclude
				c := NewRBD(opts)
				defer c.Close()
				var want []string
				for _, pool := range tc.want {
					want = append(want, fmt.Sprintf(`{pool=%q,image="a"} 1.073741824e+09`, pool))
				}
				wantLines(t, ownFamilies(t, c), "ceph_rbd_image_size_bytes", want...)
			})
		})
	}
}

func TestRBDCap(t *testing.T) {
	vms := func(name string) ceph.Image { return ceph.Image{Pool: "vms", Name: name} }
	for name, tc := range map[string]struct {
		guests, want []ceph.Image
	}{
		"no guests":                 {nil, []ceph.Image{vms("a"), vms("b")}},
		"a guest's image":           {[]ceph.Image{vms("d")}, []ceph.Image{vms("d"), vms("a")}},
		"more guests' than allowed": {[]ceph.Image{vms("e"), vms("c"), vms("d")}, []ceph.Image{vms("c"), vms("d")}},
		"of another pool":           {[]ceph.Image{{Pool: "other", Name: "e"}}, []ceph.Image{vms("a"), vms("b")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeRBD{}
				f.put("vms", 1, "a", "b", "c", "d", "e")
				opts := f.options(ClusterAlways, tc.guests...)
				opts.MaxImages = 2
				c := NewRBD(opts)
				defer c.Close()
				got := ownFamilies(t, c)
				var want []string
				for _, image := range tc.want {
					want = append(want, fmt.Sprintf(`{pool="vms",image=%q} 0`, image.Name))
				}
				wantLines(t, got, "ceph_rbd_image_watchers", want...)
				wantLines(t, got, "ceph_rbd_images_dropped", `{pool="vms"} 3`)
				wantLines(t, got, "ceph_rbd_images", `{pool="vms"} 5`)
			})
		})
	}
}

// Images and pools that are deleted, made anew, renamed or resized show as they are, at the latest after a refresh.
func TestRBDFollowsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRBD{}
		f.put("vms", 1, "a", "b")
		f.put("other", 1, "c")
		c := NewRBD(f.options(ClusterAlways))
		defer c.Close()
		sizes := func(want ...string) {
			t.Helper()
			wantLines(t, ownFamilies(t, c), "ceph_rbd_image_size_bytes", want...)
		}
		sizes(`{pool="other",image="c"} 1.073741824e+09`, `{pool="vms",image="a"} 1.073741824e+09`, `{pool="vms",image="b"} 1.073741824e+09`)

		f.put("vms", 1, "b")
		f.change(func() { delete(f.images, "other") })
		sizes(`{pool="vms",image="b"} 1.073741824e+09`)

		f.put("vms", 2, "b")
		f.put("other", 2, "c")
		sizes(`{pool="other",image="c"} 2.147483648e+09`, `{pool="vms",image="b"} 2.147483648e+09`)

		f.change(func() { f.images["vms"][0].SizeBytes = 1 })
		time.Sleep(70 * time.Second)
		sizes(`{pool="other",image="c"} 2.147483648e+09`, `{pool="vms",image="b"} 1`)
	})
}

// A pool whose OSDs do not answer costs its own series only, and what it had is not shown for ever.
func TestRBDHungPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRBD{}
		f.put("vms", 1, "a")
		f.put("other", 1, "c")
		c := NewRBD(f.options(ClusterAlways))
		defer c.Close()
		f.hang("vms")
		start := time.Now()
		wantLines(t, ownFamilies(t, c), "ceph_rbd_image_size_bytes", `{pool="other",image="c"} 1.073741824e+09`)
		if took := time.Since(start); took > 9*time.Second {
			t.Errorf("the scrape took %v", took)
		}
		f.hang()
		wantLines(t, ownFamilies(t, c), "ceph_rbd_image_size_bytes", `{pool="other",image="c"} 1.073741824e+09`, `{pool="vms",image="a"} 1.073741824e+09`)

		f.hang("")
		wantLines(t, ownFamilies(t, c), "ceph_rbd_image_size_bytes", `{pool="other",image="c"} 1.073741824e+09`, `{pool="vms",image="a"} 1.073741824e+09`)
	})
}

// A thousand images take seconds to open: the scrape does not wait, and shows those that are known.
func TestRBDManyImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRBD{reading: 10 * time.Millisecond}
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprintf("%04d", i))
		}
		f.put("vms", 1, names...)
		c := NewRBD(f.options(ClusterAlways))
		defer c.Close()
		start := time.Now()
		got := ownFamilies(t, c)
		if took := time.Since(start); took > 2*rbdPatience {
			t.Errorf("the scrape took %v", took)
		}
		if n := len(lines(got, "ceph_rbd_image_size_bytes")); n == 0 || n == 1000 {
			t.Errorf("%d images in the first scrape, want some", n)
		}
		time.Sleep(10 * time.Second)
		if n := len(lines(ownFamilies(t, c), "ceph_rbd_image_size_bytes")); n != 1000 {
			t.Errorf("%d images after 10 s, want 1000", n)
		}
	})
}

func TestRBDPerf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRBD{perf: rbd.Perf{Truncated: true, Images: map[ceph.Image]rbd.IO{{Pool: "vms", Name: "a"}: {Reads: 1}}}}
		f.put("vms", 1, "a")
		opts := f.options(ClusterAlways)
		opts.Perf = true
		c := NewRBD(opts)
		defer c.Close()
		ownFamilies(t, c)
		synctest.Wait()
		got := string(ownFamilies(t, c))
		for _, want := range []string{"ceph_rbd_perf_truncated 1\n", "ceph_rbd_perf_age_seconds 0\n", `ceph_rbd_read_ops{pool="vms",image="a"} 1` + "\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		time.Sleep(40 * time.Second)
		if n := f.timesAsked(); n != 3 {
			t.Errorf("the mgr was asked %d times in 40 s, want 3", n)
		}

		f.change(func() { f.perfErr = fmt.Errorf("%w: no such command", rbd.ErrNoPerf) })
		time.Sleep(30 * time.Second)
		if got := string(ownFamilies(t, c)); strings.Contains(got, "ceph_rbd_perf") || strings.Contains(got, "ceph_rbd_read") {
			t.Errorf("counters of a mgr that has none:\n%s", got)
		}
	})
}

// Why there are no counters is logged once, and costs nothing else.
func TestRBDPerfFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRBD{perfErr: errors.New("no active mgr")}
		f.put("vms", 1, "a")
		opts := f.options(ClusterAlways)
		opts.Perf = true
		c := NewRBD(opts)
		defer c.Close()
		log := &logged{}
		e := New(Options{Log: log.logger()}, c)
		for range 3 {
			s := scrape(t, e)
			if got := len(s.with("ceph_rbd_image_size_bytes")); got != 1 {
				t.Errorf("%d images, want 1", got)
			}
			time.Sleep(15 * time.Second)
		}
		if got := log.lines("no active mgr"); len(got) != 1 {
			t.Errorf("logged %q, want it once", got)
		}
	})
}
