package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
)

func TestServe(t *testing.T) {
	_, runDir := startOSD(t)
	p := start(t, "--path.ceph-run="+runDir)
	for _, tt := range []struct {
		name, path string
		headers    []string
		status     int
		contains   []string
	}{
		{"metrics", "/metrics", nil, 200, []string{
			"# TYPE ceph_osd_op counter\n", `ceph_osd_op{ceph_daemon="osd.0"} 5`,
			`ceph_ganeti_exporter_collector_success{collector="krbd"} 1`, "ceph_ganeti_exporter_build_info{",
			"process_resident_memory_bytes ", "ceph_ganeti_exporter_config_last_reload_successful 1",
		}},
		{"chosen collector", "/metrics?collect[]=daemon", nil, 200, []string{`ceph_osd_op{`}},
		{"unknown collector", "/metrics?collect[]=nonsense", nil, 400, []string{"collect[]=nonsense", "enabled are: daemon, "}},
		{"OpenMetrics", "/metrics", []string{"Accept", "application/openmetrics-text; version=1.0.0"}, 200, []string{"\n# EOF\n"}},
		{"landing page", "/", nil, 200, []string{`href="/metrics"`, "Ceph daemons, RBD images and QEMU guests"}},
		{"healthy", "/-/healthy", nil, 200, []string{"healthy\n"}},
		{"ready", "/-/ready", nil, 200, []string{"ready\n"}},
		{"nothing", "/nothing", nil, 404, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := get(t, p.url+tt.path, tt.headers...)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			for _, want := range tt.contains {
				if !strings.Contains(body, want) {
					t.Errorf("%q is missing in\n%s", want, body)
				}
			}
		})
	}
}

func TestChosenCollectorAlone(t *testing.T) {
	p := start(t)
	_, body := get(t, p.url+"/metrics?collect[]=krbd")
	for _, unwanted := range []string{`collector="daemon"`, "go_goroutines", "process_"} {
		if strings.Contains(body, unwanted) {
			t.Errorf("%s is in\n%s", unwanted, body)
		}
	}
}

func TestGzip(t *testing.T) {
	p := start(t)
	resp, body := get(t, p.url+"/metrics", "Accept-Encoding", "gzip")
	if got := resp.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding %q, want gzip", got)
	}
	zip, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil || !strings.Contains(string(text), "go_goroutines ") {
		t.Errorf("error %v, body %s", err, text)
	}
}

// newUsedServer returns a server with the collectors that the flags ask for, and the settings that they make.
func newUsedServer(t *testing.T, args ...string) (*server, *config) {
	t.Helper()
	c, err := load(args)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(promslog.NewNopLogger())
	s.use(c)
	t.Cleanup(s.close)
	return s, c
}

// Overlapping scrapes share one gather: however many ask, the daemon is asked once.
func TestOverlappingScrapes(t *testing.T) {
	osd, runDir := startOSD(t)
	args := []string{"--path.ceph-run=" + runDir}
	for _, other := range []string{"cluster", "qemu", "rbd", "krbd", "loopback", "node"} {
		args = append(args, "--no-collector."+other)
	}
	s, _ := newUsedServer(t, args...)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)

	const scrapes = 5
	osd.shut()
	var wg sync.WaitGroup
	for range scrapes {
		wg.Go(func() {
			if _, body := get(t, web.URL); !strings.Contains(body, `ceph_osd_op{ceph_daemon="osd.0"} 5`) {
				t.Errorf("no answer of the OSD in\n%s", body)
			}
		})
	}
	for waiting() < scrapes {
		runtime.Gosched()
	}
	osd.release()
	wg.Wait()
	if got := osd.dumps.Load(); got != 1 {
		t.Errorf("%d dumps, want 1", got)
	}
}

// waiting counts the scrapes that wait for a collector: not those that are about to.
func waiting() (n int) {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		state, calls, _ := strings.Cut(stack, "\n")
		if strings.Contains(calls, "exporter.(*runner).run(") && (strings.Contains(state, "[chan receive") || strings.Contains(state, "[select")) {
			n++
		}
	}
	return n
}

// What knows which daemons and guests still owe an answer outlives a reading of the configuration.
func TestReloadForgetsNoDebts(t *testing.T) {
	s, c := newUsedServer(t)
	before := s.current.sources
	s.use(c)
	if now := s.current.sources; now.sockets != before.sockets || now.monitors != before.monitors || now.monitors == nil {
		t.Error("another client of sockets or monitors takes their place")
	}
}

func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("collector: {daemon: {enabled: false}}")
	p := start(t, "--config.file="+file)

	write("collector: {daemon: {enabld: true}}")
	p.signal(t, syscall.SIGHUP)
	p.logged(t, `level=ERROR .*configuration stays as it was.* no setting is called collector.daemon.enabld`)
	resp, _ := get(t, p.url+"/metrics?collect[]=daemon")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want %d", resp.StatusCode, http.StatusBadRequest)
	}
	if _, body := get(t, p.url+"/metrics"); !strings.Contains(body, "ceph_ganeti_exporter_config_last_reload_successful 0") {
		t.Errorf("a failed reload is not in\n%s", body)
	}

	write("collector: {daemon: {enabled: true}}\nweb: {telemetry-path: /other}\nlog: {level: debug}")
	p.signal(t, syscall.SIGHUP)
	p.logged(t, `level=WARN .*setting changes with a restart only.* setting=log.level now=info then=debug`)
	p.logged(t, `level=WARN .*setting changes with a restart only.* setting=web.telemetry-path now=/metrics then=/other`)
	p.logged(t, `configuration read anew.* collectors="?\[daemon`)
	_, body := get(t, p.url+"/metrics")
	for _, want := range []string{"ceph_ganeti_exporter_config_last_reload_successful 1", `collector_success{collector="daemon"} 1`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in\n%s", want, body)
		}
	}
}

// A scrape that is under way when the process is told to end completes.
func TestEndInOrder(t *testing.T) {
	osd, runDir := startOSD(t)
	p := start(t, "--path.ceph-run="+runDir)
	osd.shut()
	scrape := make(chan string)
	go func() {
		_, body := get(t, p.url+"/metrics")
		scrape <- body
	}()
	<-osd.asked
	p.signal(t, syscall.SIGTERM)
	p.logged(t, "msg=ending")
	osd.release()
	if body := <-scrape; !strings.Contains(body, `ceph_osd_op{ceph_daemon="osd.0"} 5`) {
		t.Errorf("no answer of the OSD in\n%s", body)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A reader that does not read what it has asked for does not keep the process from ending.
func TestEndWithSlowReader(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		close(begun)
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 1<<16))
		}
	}))
	t.Cleanup(web.Close)
	reader, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	fmt.Fprint(reader, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	if err := end(promslog.NewNopLogger(), web.Config, time.Millisecond); err != nil {
		t.Error(err)
	}
	<-ended
}
