// Package transport reaches the agents of nodes: by OpenSSH's own client, with the admin's configuration of it in force,
// or on this host as a child process.
package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// Options say how nodes are reached.
type Options struct {
	// User is whom to log in as: root when empty. Another one needs an Agent that becomes root.
	User string
	// SSH is OpenSSH's client: "ssh" when empty.
	SSH string
	// SSHOptions are the admin's own, as words of its command line: "-o", "ProxyJump=gate". They win over ours, except
	// for BatchMode.
	SSHOptions []string
	// ConnectTimeout is how long a node may take to let ssh in: 10 s when 0.
	ConnectTimeout time.Duration
	// Agent is what is run on nodes: "cephctl", "node-agent" when empty.
	Agent []string
	// Self is what is run where the node is this host: this very program with "node-agent" when empty.
	Self []string
	// Host is the name of this host, full or short: the kernel's when empty.
	Host string
	// Log, when set, gets each call's command.
	Log *slog.Logger
}

// Transport reaches nodes.
type Transport struct {
	options Options
	runner  run.Runner
}

var _ control.Transport = (*Transport)(nil)

// New returns a transport.
func New(options Options) (*Transport, error) {
	if options.User == "" {
		options.User = "root"
	}
	if options.SSH == "" {
		options.SSH = "ssh"
	}
	if options.ConnectTimeout == 0 {
		options.ConnectTimeout = 10 * time.Second
	}
	if len(options.Agent) == 0 {
		options.Agent = []string{"cephctl", "node-agent"}
	}
	if len(options.Self) == 0 {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		options.Self = []string{program, "node-agent"}
	}
	if options.Host == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("ask for the name of this host: %w", err)
		}
		options.Host = name
	}
	if !isWord(options.User) {
		return nil, fmt.Errorf("%w: ssh.user %q is not a name", control.ErrUsage, options.User)
	}
	return &Transport{options: options, runner: run.Runner{Log: options.Log, Env: sshEnviron()}}, nil
}

// sshEnviron hands on the admin's ssh-agent, which may hold the only key.
func sshEnviron() []string {
	if socket := os.Getenv("SSH_AUTH_SOCK"); socket != "" {
		return []string{"SSH_AUTH_SOCK=" + socket}
	}
	return nil
}

// Call has the agent of a node carry out a request and returns the data of its result. Errors are *Error when the node
// has not answered or was lost, and then wrap control.ErrUnreachable if it has not answered at all, and control.ErrRefused if
// something else has; what the agent itself tells is an *agent.Error.
//
// When ctx ends, the agent is no longer listened to. It goes on with what it has begun, on this host like elsewhere.
func (t *Transport) Call(
	ctx context.Context, node control.Node, request agent.Request, events func(agent.Event),
) (json.RawMessage, error) {
	stream, err := t.stream(node, request)
	if err != nil {
		return nil, err
	}
	c := call{node: node, user: t.options.User, here: t.isHere(node), started: time.Now()}
	var data json.RawMessage
	stream.Read = func(r io.Reader) {
		data, c.answer = agent.Read(r, func(e agent.Event) {
			c.greeted = true
			if events != nil {
				events(e)
			}
		})
	}
	c.answer = agent.ErrNoHello
	c.process = t.runner.Stream(ctx, stream)
	if c.answer == nil {
		return data, nil
	}
	return nil, c.err(ctx)
}

// stream returns the command that reaches the node, with the request for it.
func (t *Transport) stream(node control.Node, request agent.Request) (run.Stream, error) {
	request.Protocol = agent.Protocol
	stdin, err := json.Marshal(request)
	if err != nil {
		return run.Stream{}, fmt.Errorf("encode request to %s: %w", node.Name, err)
	}
	if t.isHere(node) {
		// What a lost connection does to a remote agent, our end must do to this one: nothing.
		return run.Stream{Argv: t.options.Self, Stdin: stdin, Outlive: true}, nil
	}
	if !isWord(node.Address) {
		return run.Stream{}, fmt.Errorf("reach %s: %q is not an address: correct it in the inventory", node.Name, node.Address)
	}
	return run.Stream{Argv: t.ssh(node.Address), Stdin: stdin}, nil
}

// ssh returns the command line that runs the agent elsewhere. Host keys are checked, as the admin's configuration says.
func (t *Transport) ssh(address string) []string {
	argv := []string{t.options.SSH, "-T", "-o", "BatchMode=yes"}
	argv = append(argv, t.options.SSHOptions...) // ssh takes the first value that it meets
	argv = append(argv,
		"-o", "ConnectTimeout="+strconv.Itoa(int(t.options.ConnectTimeout.Seconds())), "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
		"-o", "ControlMaster=no", // a master would stay behind and hold our pipes; one that is there is used
		t.options.User+"@"+address, "--", run.Quote(t.options.Agent))
	return argv
}

// isWord says whether a word is safe on ssh's command line.
func isWord(s string) bool {
	return s != "" && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '@' })
}
