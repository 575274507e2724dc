package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// process is the exporter as a process of its own.
type process struct {
	cmd *exec.Cmd
	url string

	mu   sync.Mutex
	more *sync.Cond
	log  []string
	done bool
}

var listening = regexp.MustCompile(`Listening on" address=(\S+)`)

// start starts the exporter on a free port, with nothing of this machine in its sight, and waits until it listens.
func start(t *testing.T, flags ...string) *process {
	t.Helper()
	none := t.TempDir()
	return startCommand(t, exec.Command(program, append([]string{
		"--web.listen-address=127.0.0.1:0", "--path.ceph-run=" + none, "--path.ganeti-run=" + none,
		"--path.cephctl-run=" + none, "--path.sysfs=" + none, "--ceph.config=" + none + "/ceph.conf",
	}, flags...)...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd}
	p.more = sync.NewCond(&p.mu)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(stderr)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		p.wait(t)
	})
	line := p.logged(t, listening.String())
	p.url = "http://" + strings.Trim(listening.FindStringSubmatch(line)[1], `"`)
	return p
}

func (p *process) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		p.more.Broadcast()
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.done = true
	p.more.Broadcast()
	p.mu.Unlock()
}

// logged waits for a line of the log and returns it.
func (p *process) logged(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(p.log); seen++ {
			if re.MatchString(p.log[seen]) {
				return p.log[seen]
			}
		}
		if p.done {
			t.Fatalf("ended without logging %s:\n%s", pattern, strings.Join(p.log, "\n"))
		}
		p.more.Wait()
	}
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end and returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	p.mu.Lock()
	for !p.done {
		p.more.Wait()
	}
	p.mu.Unlock()
	_ = p.cmd.Wait() // the code says how it ended
	return p.cmd.ProcessState.ExitCode()
}

// get fetches a path and returns status, headers and body.
func get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return do(t, http.DefaultClient, req)
}

func do(t *testing.T, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
