package exporter

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm/qmptest"
)

// BenchmarkQEMUScrape reads guests with four disks each, beside the floor: the same sockets, read and not parsed.
// collect ends with the samples, scrape with the text. The guests are in this process, so that every figure has
// their part of the work in it. Between two scrapes they have the time to notice that the first is over, or the second would wait for
// that, as it never does 15 s later.
func BenchmarkQEMUScrape(b *testing.B) {
	for _, guests := range []int{50, 200, 500} {
		n := newQEMUNode(b)
		var paths []string
		var open atomic.Int32
		for i := range guests {
			instance := fmt.Sprintf("i%d.lab", i)
			n.process(ganetiDir, instance, 1000+i, i)
			paths = append(paths, n.socket(ganetiDir, instance+".qmp"))
			serveQuickly(b, paths[i], qemuAnswers(b, "7.2-blockdev"), &open)
		}
		q := NewQEMU(n.options())
		e := New(Options{TargetTimeout: time.Hour}, q)
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("guests=%d/%s", guests, name), func(b *testing.B) {
				b.ReportAllocs()
				start := cpuTime(b)
				for b.Loop() {
					f()
					b.StopTimer()
					for open.Load() > 0 {
						runtime.Gosched()
					}
					b.StartTimer()
				}
				b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/1e6, "cpu-ms/op")
			})
		}
		run("floor", func() { readAll(b, paths) })
		run("collect", func() {
			if got := e.runners[0].run(b.Context()); !got.success() {
				b.Fatal(got.err, got.outcomes[0].err)
			}
		})
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil)
		run("scrape", func() { e.ServeHTTP(&sink{header: make(http.Header)}, req) })
	}
}

// cpuTime returns the CPU time that this process has used, which does not depend on what else runs here.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// serveQuickly is a monitor that does as little as possible. It counts its open connections.
func serveQuickly(b *testing.B, path string, answers map[string]string, open *atomic.Int32) {
	b.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	greeting, others := []byte(qmptest.Greeting+"\r\n"), []byte(`{"return": {}}`+"\r\n")
	lines := make(map[string][]byte)
	for command, answer := range answers {
		lines[fmt.Sprintf("{\"execute\":%q}\n", command)] = []byte(answer + "\r\n")
	}
	serve := func(conn net.Conn, r *bufio.Reader) {
		open.Add(1)
		defer open.Add(-1)
		defer conn.Close()
		r.Reset(conn)
		conn.Write(greeting)
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			answer := lines[string(line)]
			if answer == nil {
				answer = others
			}
			conn.Write(answer)
		}
	}
	go func() {
		r := bufio.NewReader(nil)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn, r)
		}
	}()
}

// readAll asks what a scrape asks, as many guests at once, and only counts lines.
func readAll(b *testing.B, paths []string) {
	b.Helper()
	request := []byte("{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n{\"execute\":\"query-blockstats\"}\n")
	buffers := sync.Pool{New: func() any { return new([32 << 10]byte) }}
	turns := make(chan struct{}, 64)
	var wg sync.WaitGroup
	for _, path := range paths {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			buf := buffers.Get().(*[32 << 10]byte)
			defer buffers.Put(buf)
			if err := readOne(b.Context(), path, request, buf[:]); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

func readOne(ctx context.Context, path string, request, buf []byte) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	for lines := 0; lines < 4; {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		if lines == 0 {
			if _, err := conn.Write(request); err != nil {
				return err
			}
		}
		lines += bytes.Count(buf[:n], []byte("\n"))
	}
	return nil
}
