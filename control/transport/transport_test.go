package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/transport"
)

// agentDir makes the test's own program, started anew, an agent that keeps its lock there.
const agentDir = "TRANSPORT_TEST_AGENT_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(agentDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := agent.Serve(context.Background(), os.Stdin, os.Stdout, agent.Options{
		Version: "1.2.3", Host: "node3", Handlers: map[string]agent.Handler{"ceph": worker{}},
		Lock: filepath.Join(dir, "agent.lock"),
	})
	if err != nil {
		os.Exit(1)
	}
}

// worker is what the agent at the other end does.
type worker struct{}

var _ agent.Handler = worker{}

func (worker) Handle(_ context.Context, action string, payload json.RawMessage, progress func(string)) (any, error) {
	switch action {
	case "fail":
		return nil, errors.New("mkfs osd.3: no space")
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "work":
		return nil, work(payload, progress)
	case "drop": // the connection, whose server is the parent
		if err := work(payload, progress); err != nil {
			return nil, err
		}
		if comm, _ := os.ReadFile("/proc/" + strconv.Itoa(os.Getppid()) + "/comm"); strings.HasPrefix(string(comm), "sshd") {
			_ = syscall.Kill(os.Getppid(), syscall.SIGKILL)
		}
	}
	progress("at it")
	return payload, nil
}

// work ends when it is allowed to, and tells all the while, to a master that may be gone.
func work(payload json.RawMessage, progress func(string)) error {
	var dir string
	if err := json.Unmarshal(payload, &dir); err != nil {
		return err
	}
	for range 10_000 { // not for ever: a test that fails forgets it
		progress("working")
		if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
			progress("done")
			return os.WriteFile(filepath.Join(dir, "done"), nil, 0o600)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("wait for the test: it has gone away")
}

// agentCommand runs this program as an agent.
func agentCommand(t *testing.T) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", agentDir + "=" + t.TempDir(), program}
}

var node3 = control.Node{Name: "node3.lab", Address: "node3"}

func request(action string, payload any) agent.Request {
	data, _ := json.Marshal(payload)
	return agent.Request{Version: "1.2.3", Storage: "ceph", Action: action, Payload: data}
}

// ways are a transport by ssh and one to this host: both must behave alike.
func ways(t *testing.T, s *sshd) map[string]*transport.Transport {
	return map[string]*transport.Transport{
		"ssh":   connect(t, transport.Options{Host: "node1", User: s.user, SSHOptions: s.config(t), Agent: agentCommand(t)}),
		"local": connect(t, transport.Options{Host: "node3", Self: agentCommand(t)}),
	}
}

func connect(t *testing.T, o transport.Options) *transport.Transport {
	t.Helper()
	tr, err := transport.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestCall(t *testing.T) {
	for way, tr := range ways(t, startSSHD(t)) {
		t.Run(way, func(t *testing.T) {
			large := strings.Repeat("0123456789", 1<<17)
			var events []agent.Event
			data, err := tr.Call(t.Context(), node3, request("observe", large), func(e agent.Event) { events = append(events, e) })
			if err != nil || string(data) != `"`+large+`"` {
				t.Fatalf("got %d bytes, %v", len(data), err)
			}
			want := []agent.Event{
				{Kind: "hello", Version: "1.2.3", Protocol: 1, Host: "node3"},
				{Kind: "progress", Text: "at it"},
			}
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallErrorsOfTheAgent(t *testing.T) {
	for way, tr := range ways(t, startSSHD(t)) {
		t.Run(way, func(t *testing.T) {
			var told *agent.Error
			_, err := tr.Call(t.Context(), node3, request("fail", nil), nil)
			if !errors.As(err, &told) || err.Error() != "node3.lab: mkfs osd.3: no space" {
				t.Errorf("error %v", err)
			}
			other := request("observe", nil)
			other.Version = "1.2.4"
			_, err = tr.Call(t.Context(), node3, other, nil)
			if !errors.As(err, &told) || err.Error() != "node3.lab: node3 has cephctl 1.2.3, the master 1.2.4: install the same version on both" {
				t.Errorf("error %v", err)
			}
			_, err = tr.Call(t.Context(), node3, request("die", nil), nil)
			if err == nil || errors.Is(err, control.ErrUnreachable) || !strings.HasPrefix(err.Error(), "reach node3.lab: its agent was killed") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// When the master goes away in the middle, the agent finishes, and until then keeps the next one waiting.
func TestAgentOutlivesTheCall(t *testing.T) {
	for way, tr := range ways(t, startSSHD(t)) {
		t.Run(way, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			_, err := tr.Call(ctx, node3, request("work", dir), func(e agent.Event) {
				if e.Kind == agent.KindProgress {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || errors.Is(err, control.ErrUnreachable) ||
				!strings.Contains(err.Error(), "its agent may still be at work") {
				t.Errorf("error %v", err)
			}
			var waited string
			_, err = tr.Call(t.Context(), node3, request("next", nil), func(e agent.Event) {
				if e.Kind == agent.KindProgress && waited == "" {
					waited = e.Text
					release(t, dir)
				}
			})
			if err != nil || !strings.Contains(waited, "waiting for the agent") || !strings.HasSuffix(waited, ": work") {
				t.Errorf("error %v, progress %q", err, waited)
			}
			if _, err := os.Stat(filepath.Join(dir, "done")); err != nil {
				t.Errorf("the first agent has not finished: %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	s := startSSHD(t)
	s.put(t, "other_known_hosts", s.known(t, "other_host_key"))
	login := s.user + "@node3"
	tests := []struct {
		name   string
		config []string
		agent  []string
		want   string
	}{
		{
			"refused",
			[]string{"Port " + strconv.Itoa(refusingPort(t))},
			nil,
			"the connection to node3 was refused: is sshd running there? look: systemctl status ssh",
		},
		{
			"silent",
			[]string{"Port " + strconv.Itoa(listenSilently(t))},
			nil,
			"node3 does not answer (timed out): is the node up? try: ping node3",
		},
		{
			"host key unknown",
			[]string{"UserKnownHostsFile /dev/null"},
			nil,
			"the host key of node3 is not known here: compare and accept it by: ssh " + login,
		},
		{
			"host key changed",
			[]string{"UserKnownHostsFile " + s.dir + "/other_known_hosts"},
			nil,
			"the host key of node3 has changed: if the node was installed anew, ssh-keygen -R node3 and accept the new key by: ssh " + login,
		},
		{
			"not authorised",
			[]string{"PubkeyAuthentication no"},
			nil,
			"node3 has refused the login as " + s.user + ": authorise this host's key there: ssh-copy-id " + login,
		},
		{
			"not installed", nil,
			[]string{"no-such-cephctl", "node-agent"},
			"cephctl is not installed there: install the same version there as here",
		},
		{
			"something else", nil,
			[]string{"sh", "-c", "echo This account is closed.; exit 1"},
			`exit status 1: no cephctl node-agent has answered, but this: "This account is closed.": try: ssh ` + login,
		},
		{"nothing", nil, []string{"true"}, "no cephctl node-agent has answered: try: ssh " + login},
		{"bad option", []string{"NoSuchOption yes"}, nil, "ssh's configuration has an option that ssh does not know: correct ssh.options or ssh's configuration; try: ssh " + login},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.agent == nil {
				test.agent = agentCommand(t)
			}
			o := transport.Options{Host: "node1", User: s.user, Agent: test.agent, SSHOptions: s.config(t, test.config...)}
			if test.name == "silent" {
				o.SSHOptions = append(o.SSHOptions, "-o", "ConnectTimeout=1") // the admin's own wins
			}
			_, err := connect(t, o).Call(t.Context(), node3, request("observe", nil), nil)
			if !errors.Is(err, control.ErrUnreachable) {
				t.Errorf("error %v does not wrap ErrUnreachable", err)
			}
			if up := test.name != "silent" && test.name != "bad option"; errors.Is(err, control.ErrRefused) != up {
				t.Errorf("error wraps ErrRefused: %t", !up)
			}
			if diff := cmp.Diff("reach node3.lab: "+test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConnectionLost(t *testing.T) {
	s := startSSHD(t)
	tr := connect(t, transport.Options{Host: "node1", User: s.user, SSHOptions: s.config(t), Agent: agentCommand(t)})
	dir := t.TempDir()
	_, err := tr.Call(t.Context(), node3, request("drop", dir), func(agent.Event) { release(t, dir) })
	if err == nil || errors.Is(err, control.ErrUnreachable) || !strings.HasPrefix(err.Error(), "reach node3.lab: the connection was lost (") {
		t.Errorf("error %v", err)
	}
}

func TestNoise(t *testing.T) {
	s := startSSHD(t)
	agent := append([]string{"sh", "-c", `printf 'Welcome\n$ '; exec "$@"`, "sh"}, agentCommand(t)...)
	tr := connect(t, transport.Options{Host: "node1", User: s.user, SSHOptions: s.config(t), Agent: agent})
	if data, err := tr.Call(t.Context(), node3, request("observe", 7), nil); err != nil || string(data) != "7" {
		t.Errorf("got %s, %v", data, err)
	}
}

func TestDeadline(t *testing.T) {
	s := startSSHD(t)
	o := transport.Options{Host: "node1", User: s.user, SSHOptions: s.config(t, "Port "+strconv.Itoa(listenSilently(t)))}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := connect(t, o).Call(ctx, node3, request("observe", nil), nil)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, control.ErrUnreachable) || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("error %v", err)
	}
}

// release lets an agent go on that works in dir.
func release(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Error(err)
	}
}

// refusingPort returns a port that is taken and where nobody listens.
func refusingPort(t *testing.T) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*syscall.SockaddrInet4).Port
}

// listenSilently returns a port where connections are taken and nothing is said.
func listenSilently(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}
