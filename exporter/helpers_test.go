package exporter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket/asoktest"
)

// fakeCollector gives the targets that a test wants.
type fakeCollector struct {
	name    string
	targets func(ctx context.Context, b *Batch) ([]Target, error)
}

var _ Collector = (*fakeCollector)(nil)

func (c *fakeCollector) Name() string        { return c.name }
func (c *fakeCollector) Families() []*Family { return nil }
func (c *fakeCollector) Targets(ctx context.Context, b *Batch) ([]Target, error) {
	return c.targets(ctx, b)
}

// fake makes a collector of fixed targets.
func fake(name string, targets ...Target) *fakeCollector {
	return &fakeCollector{name: name, targets: func(context.Context, *Batch) ([]Target, error) { return targets, nil }}
}

var (
	valueFamily = &Family{Name: "test_value", Help: "A value.", Kind: Gauge, Labels: []string{"target"}}
	upFamily    = &Family{Name: "test_up", Help: "Up.", Kind: Gauge, Labels: []string{"target"}}
)

// healthy is a target that gives one value.
func healthy(name string) Target {
	return Target{Name: name, Up: upFamily, UpLabels: []string{name}, Collect: func(_ context.Context, b *Batch) error {
		b.Add(valueFamily, 1, name)
		return nil
	}}
}

// failing is a target that gives one value and then does what f does.
func failing(name string, f func(ctx context.Context) error) Target {
	t := healthy(name)
	t.Collect = func(ctx context.Context, b *Batch) error {
		b.Add(valueFamily, 1, name)
		return f(ctx)
	}
	return t
}

// series are the values of one answer by their name and labels, as in `up{job="x"}`.
type series map[string]float64

// with returns the series whose name is one of names, and their labels and values.
func (s series) with(names ...string) series {
	found := make(series)
	for key, value := range s {
		if name, _, _ := strings.Cut(key, "{"); slices.Contains(names, name) {
			found[key] = value
		}
	}
	return found
}

// about returns the series that have the value as a label.
func (s series) about(label string) series {
	found := make(series)
	for key, value := range s {
		if strings.Contains(key, fmt.Sprintf("=%q", label)) {
			found[key] = value
		}
	}
	return found
}

// scrapeWithin scrapes over HTTP with Prometheus's header and parses the text.
func scrapeWithin(t testing.TB, e http.Handler, seconds string) series {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", seconds)
	res := httptest.NewRecorder()
	e.ServeHTTP(res, req)
	if res.Code != http.StatusOK {
		t.Fatalf("status %d: %s", res.Code, res.Body)
	}
	return parseText(t, res.Body)
}

func scrape(t testing.TB, e http.Handler) series {
	t.Helper()
	return scrapeWithin(t, e, "10")
}

func parseText(t testing.TB, r io.Reader) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		t.Fatal("answer is not valid: ", err)
	}
	found := make(series)
	for name, f := range families {
		for _, m := range f.Metric {
			put := func(suffix string, value float64) {
				key := name + suffix + labelText(m.Label)
				if _, twice := found[key]; twice {
					t.Errorf("%s is there twice", key)
				}
				found[key] = value
			}
			switch {
			case m.Gauge != nil:
				put("", m.Gauge.GetValue())
			case m.Counter != nil:
				put("", m.Counter.GetValue())
			case m.Untyped != nil:
				put("", m.Untyped.GetValue())
			case m.Summary != nil:
				put("_sum", m.Summary.GetSampleSum())
				put("_count", float64(m.Summary.GetSampleCount()))
			case m.Histogram != nil:
				put("_sum", m.Histogram.GetSampleSum())
				put("_count", float64(m.Histogram.GetSampleCount()))
			}
		}
	}
	return found
}

func labelText(pairs []*dto.LabelPair) string {
	if len(pairs) == 0 {
		return ""
	}
	labels := make(map[string]string)
	for _, p := range pairs {
		labels[p.GetName()] = p.GetValue()
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// logged is a logger that remembers its lines, and may be used by many at once.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// lines returns the lines that contain all the words.
func (l *logged) lines(words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	return found
}

// reasons returns the lines that contain all the words and say why something failed, but for those of a call that ended too
// late to say why itself: how many of these there are is the machine's doing.
func (l *logged) reasons(words ...string) []string {
	return slices.DeleteFunc(l.lines(append(words, "level=WARN")...), func(line string) bool {
		return strings.Contains(line, errLate.Error())
	})
}

// sample answers of a daemon, by command.
func answersOf(t testing.TB, release, daemon string) map[string][]byte {
	t.Helper()
	answers := map[string][]byte{"get_command_descriptions": []byte(`{}`)}
	dir := filepath.Join("..", "ceph", "adminsocket", "testdata", "ceph", release, daemon)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples in %s: %v", dir, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		command := strings.TrimSuffix(filepath.Base(file), ".json")
		if command != "get_command_descriptions" {
			command = strings.ReplaceAll(command, "_", " ")
		}
		answers[command] = data
	}
	if answers["counter dump"] != nil && daemon != "osd" {
		answers["get_command_descriptions"] = []byte(`{"cmd0":{"sig":["counter","dump"]},"cmd1":{"sig":["counter","schema"]}}`)
	}
	return answers
}

func startServer(t testing.TB, path string, answers map[string][]byte) *asoktest.Server {
	t.Helper()
	s, err := asoktest.Listen(path, answers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// daemonOptions are those of the command line, with admin sockets in runDir.
func daemonOptions(runDir string) DaemonOptions {
	return DaemonOptions{RunDir: runDir, Procfs: "/proc", Priority: 5, Caller: &adminsocket.Client{}}
}

// leaks remembers goroutines and descriptors and returns a check that they are as many again.
func leaks(t *testing.T) (check func()) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	return func() {
		t.Helper()
		eventually(t, "as many goroutines and descriptors as before", func() bool {
			return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files
		})
	}
}

// eventually waits until ok, and fails the test when that never comes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const long = 2 * time.Minute
	for end := time.Now().Add(long); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("never came: %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
