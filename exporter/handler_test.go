package exporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func TestDeadline(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":          defaultDeadline,
		"10":        9500 * time.Millisecond,
		"0.75":      250 * time.Millisecond,
		"0.5":       shortestTime,
		"0.0001":    shortestTime,
		"0":         defaultDeadline,
		"-1":        defaultDeadline,
		"NaN":       defaultDeadline,
		"Inf":       defaultDeadline,
		"1e300":     defaultDeadline,
		"3600":      time.Hour - margin,
		"3601":      defaultDeadline,
		"ten":       defaultDeadline,
		"10 ":       defaultDeadline,
		"0x1p-2":    shortestTime,
		"999999999": defaultDeadline,
	} {
		if got := deadline(http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {header}}); got != want {
			t.Errorf("deadline(%q) = %s, want %s", header, got, want)
		}
	}
}

func FuzzDeadline(f *testing.F) {
	f.Add("10")
	f.Fuzz(func(t *testing.T, header string) {
		got := deadline(http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {header}})
		if got < shortestTime || got > time.Hour {
			t.Errorf("deadline(%q) = %s", header, got)
		}
	})
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "deflate, gzip;q=1.0, *;q=0.5": true, "gzip;q=0": false, "gzip; q=0": false,
		"gzip;q=0.0": false, "gzip;q=0.001": true, "GZIP": true, "xgzip": false, "br": false, "*": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("acceptsGzip(%q) = %v, want %v", header, got, want)
		}
	}
}

// get asks for metrics with the headers, given as name and value.
func get(t *testing.T, e *Exporter, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res := httptest.NewRecorder()
	e.ServeHTTP(res, req)
	return res
}

func TestGzip(t *testing.T) {
	res := get(t, New(Options{}, fake("c", healthy("good"))), "/metrics", "Accept-Encoding", "gzip")
	if got := res.Header().Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("content encoding %q", got)
	}
	zip, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := parseText(t, zip); got[`test_up{target="good"}`] != 1 {
		t.Errorf("got %v", got)
	}
	if _, err := io.Copy(io.Discard, zip); err != nil { // the checksum at the end
		t.Error(err)
	}
}

func TestCollectParameter(t *testing.T) {
	e := New(Options{}, fake("a", healthy("a")), fake("b", healthy("b")))
	got := parseText(t, get(t, e, "/metrics?collect[]=b").Body).with("test_up")
	if diff := cmp.Diff(series{`test_up{target="b"}`: 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	res := get(t, e, "/metrics?collect[]=b&collect[]=x")
	if res.Code != http.StatusBadRequest || !strings.Contains(res.Body.String(), "enabled are: a, b") {
		t.Errorf("unknown collector: %d %s", res.Code, res.Body)
	}
}

const openMetrics = "application/openmetrics-text; version=1.0.0"

// In OpenMetrics, every series has the same name as in the text format: Ceph's counters do not become "_total".
func TestOpenMetricsKeepsNames(t *testing.T) {
	dir := t.TempDir()
	startServer(t, filepath.Join(dir, "ceph-osd.3.asok"), answersOf(t, "20.2", "osd"))
	opts := daemonOptions(dir)
	opts.Histograms = true
	e := New(Options{}, NewDaemon(opts))
	scrape(t, e) // the next one has histograms too
	text := get(t, e, "/metrics").Body.String()
	res := get(t, e, "/metrics", "Accept", openMetrics)
	if got := res.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text; version=1.0.0") {
		t.Fatalf("content type %q", got)
	}
	open := res.Body.String()
	if diff := cmp.Diff(names(text), names(open)); diff != "" {
		t.Errorf("series (-text +OpenMetrics):\n%s", diff)
	}
	if !strings.HasSuffix(open, "\n# EOF\n") {
		t.Error("no EOF at the end")
	}
	for _, line := range []string{
		"# TYPE ceph_osd_op unknown\n",
		"# TYPE ceph_daemon_cpu_seconds counter\n",
		"# TYPE ceph_osd_op_latency summary\n",
		"# TYPE ceph_osd_op_r_latency_seconds histogram\n",
		"# TYPE ceph_osd_op_wip gauge\n",
	} {
		if !strings.Contains(open, line) {
			t.Errorf("no line %q", line)
		}
	}
}

// In OpenMetrics, no two families have the same name: Go's own go_memstats_alloc_bytes and go_memstats_alloc_bytes_total would, as
// the suffix of a counter is no part of its name there.
func TestOpenMetricsNamesFamiliesOnce(t *testing.T) {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector())
	e := New(Options{Process: process})
	open := get(t, e, "/metrics", "Accept", openMetrics).Body.String()
	seen := make(map[string]bool)
	for line := range strings.Lines(open) {
		if family, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(family, " ")
			if seen[name] {
				t.Errorf("%s comes twice", name)
			}
			seen[name] = true
		}
	}
	if diff := cmp.Diff(names(get(t, e, "/metrics").Body.String()), names(open)); diff != "" {
		t.Errorf("series (-text +OpenMetrics):\n%s", diff)
	}
}

// names returns the series of an answer in either text format.
func names(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			name := line[:strings.LastIndexByte(line, ' ')]
			found = append(found, strings.ReplaceAll(name, `.0"}`, `"}`)) // of a bucket's bound
		}
	}
	return found
}

func TestProtobuf(t *testing.T) {
	e := New(Options{}, fake("c", healthy("good")))
	res := get(t, e, "/metrics", "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	if got := res.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/vnd.google.protobuf") || res.Body.Len() == 0 {
		t.Errorf("content type %q, %d bytes", got, res.Body.Len())
	}
}

// A client that goes away in the middle costs nobody else the answer.
func TestClientGoesAway(t *testing.T) {
	started, release := make(chan struct{}, 1), make(chan struct{})
	e := New(Options{}, fake("c", failing("slow", func(ctx context.Context) error {
		started <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})))
	server := httptest.NewServer(e)
	defer server.Close()
	fetch := func(ctx context.Context) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		return server.Client().Do(req)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		res, err := fetch(ctx)
		if err == nil {
			res.Body.Close()
		}
		gone <- err
	}()
	<-started
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	go close(release)
	res, err := fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := parseText(t, res.Body); got[`test_up{target="slow"}`] != 1 {
		t.Errorf("got %v", got)
	}
}

// deafWriter cannot be written to, and remembers until when it was to be tried.
type deafWriter struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *deafWriter) Write([]byte) (int, error) { return 0, errBroken }

func (w *deafWriter) SetWriteDeadline(until time.Time) error {
	w.until = until
	return nil
}

// A client that does not read to the end gets no answer that looks whole, and is not waited for longer than for
// the scrape and then some.
func TestClientDoesNotRead(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			e := New(Options{}, fake("c", healthy("good")))
			w := &deafWriter{ResponseRecorder: httptest.NewRecorder()}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
			req.Header.Set("Accept-Encoding", encoding)
			before := time.Now()
			err := protect(func() error {
				e.ServeHTTP(w, req)
				return nil
			})
			var p *panicError
			if !errors.As(err, &p) {
				t.Fatalf("handler ended with %v", err)
			}
			if cause, _ := p.value.(error); !errors.Is(cause, http.ErrAbortHandler) {
				t.Errorf("handler panicked with %v", p.value)
			}
			if first, last := before.Add(defaultDeadline), time.Now().Add(defaultDeadline+patienceWithReader); w.until.Before(first) || w.until.After(last) {
				t.Errorf("write deadline %s is not between %s and %s", w.until, first, last)
			}
		})
	}
}

// A slow reader holds nobody else up.
func TestSlowReader(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	e := New(Options{}, giving(func(b *Batch) {
		for i := range 16 {
			b.Add(gauge("x", "a"), 1, big+strings.Repeat("y", i))
		}
	}))
	server := httptest.NewServer(e)
	defer server.Close()
	fetch := func() io.ReadCloser {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "identity")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res.Body
	}
	slow := fetch() // far more than the sockets' buffers is unread now
	defer slow.Close()
	fast := fetch()
	defer fast.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, fast); err != nil {
		t.Fatal(err)
	}
	if n := len(parseText(t, &text).with("x")); n != 16 {
		t.Errorf("%d series, want 16", n)
	}
}
