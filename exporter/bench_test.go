package exporter

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// The servers of a benchmark run in a process of their own, so that what they cost is not counted as ours. It is
// this test binary again, told so by the environment.
const (
	benchDir     = "EXPORTER_BENCH_DIR"
	benchOSDs    = "EXPORTER_BENCH_OSDS"
	benchClients = "EXPORTER_BENCH_CLIENTS"
)

// TestServeForBenchmarks is the process of the servers; in a run of the tests it does nothing.
func TestServeForBenchmarks(t *testing.T) {
	dir := os.Getenv(benchDir)
	if dir == "" {
		return
	}
	serve := func(count, daemon, file string) {
		n, err := strconv.Atoi(os.Getenv(count))
		if err != nil {
			t.Fatal(err)
		}
		answers := answersOf(t, "18.2", daemon)
		for i := range n {
			startServer(t, filepath.Join(dir, fmt.Sprintf(file, i)), answers)
		}
	}
	serve(benchOSDs, "osd", "ceph-osd.%d.asok")
	serve(benchClients, "client", "ceph-client.guest.1.%d.asok")
	fmt.Println("serving")
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the benchmark ends
}

// serveForBenchmark starts the process and returns the directory of the sockets.
func serveForBenchmark(b *testing.B, osds, clients int) string {
	b.Helper()
	dir := b.TempDir()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestServeForBenchmarks$")
	cmd.Env = append(os.Environ(), benchDir+"="+dir,
		fmt.Sprintf("%s=%d", benchOSDs, osds), fmt.Sprintf("%s=%d", benchClients, clients))
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
		b.Fatalf("servers say %q: %v", line, err)
	}
	return dir
}

// measure runs f b.N times and reports wall and CPU time of this process for each.
func measure(b *testing.B, f func()) {
	b.Helper()
	f() // the schemas, once in the daemons' life
	runtime.GC()
	b.ReportAllocs()
	before := cpuTime(b)
	b.ResetTimer()
	for b.Loop() {
		f()
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "wall-ms/op")
	b.ReportMetric(0, "ns/op")
}

func forEachSize(b *testing.B, f func(b *testing.B, dir string)) {
	for _, osds := range []int{3, 50, 200, 500} {
		b.Run(fmt.Sprintf("osds=%d", osds), func(b *testing.B) { f(b, serveForBenchmark(b, osds, 0)) })
	}
}

// sink is a client that reads everything at once.
type sink struct {
	header http.Header
	bytes  int
}

var _ http.ResponseWriter = (*sink)(nil)

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

func benchmarkScrape(b *testing.B, dir string, headers ...string) *Exporter {
	b.Helper()
	opts := daemonOptions(dir)
	e := New(Options{}, NewDaemon(opts))
	req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	s := &sink{header: make(http.Header)}
	measure(b, func() {
		s.bytes = 0
		e.ServeHTTP(s, req)
	})
	b.ReportMetric(float64(s.bytes), "answer-B")
	return e
}

// BenchmarkDaemonScrape is a whole scrape: sockets, parsing, text.
func BenchmarkDaemonScrape(b *testing.B) {
	forEachSize(b, func(b *testing.B, dir string) { benchmarkScrape(b, dir) })
}

// BenchmarkDaemonScrapeAsPrometheus is the same with what Prometheus asks for: OpenMetrics and gzip.
func BenchmarkDaemonScrapeAsPrometheus(b *testing.B) {
	forEachSize(b, func(b *testing.B, dir string) {
		benchmarkScrape(b, dir, "Accept", openMetrics, "Accept-Encoding", "gzip")
	})
}

// BenchmarkDaemonNode is a full node: 60 OSDs and 200 guests whose librbd has an admin socket. It reports too what
// stays in memory between scrapes.
func BenchmarkDaemonNode(b *testing.B) {
	dir := serveForBenchmark(b, 60, 200)
	before := liveHeap()
	e := benchmarkScrape(b, dir)
	b.ReportMetric(float64(liveHeap()-before)/1e6, "live-MB")
	runtime.KeepAlive(e)
}

// liveHeap returns how many bytes of the heap are in use.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what pools hold outlives one
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkDaemonFloor reads the same answers from the same sockets, as many at once, and throws them away.
func BenchmarkDaemonFloor(b *testing.B) {
	forEachSize(b, func(b *testing.B, dir string) {
		sockets, err := adminsocket.Find(dir)
		if err != nil {
			b.Fatal(err)
		}
		var client adminsocket.Client
		buffers := sync.Pool{New: func() any { return new([]byte) }}
		read := func(path string) {
			ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
			defer cancel()
			buf := buffers.Get().(*[]byte)
			defer buffers.Put(buf)
			reply, err := client.Call(ctx, path, adminsocket.CounterDump, *buf)
			if err != nil {
				b.Error(err)
			}
			*buf = reply.Data
		}
		measure(b, func() {
			turns := make(chan struct{}, defaultConcurrency)
			var wg sync.WaitGroup
			for _, s := range sockets {
				turns <- struct{}{}
				wg.Go(func() {
					read(s.Path)
					<-turns
				})
			}
			wg.Wait()
		})
	})
}
