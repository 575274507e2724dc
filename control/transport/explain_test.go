package transport

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// What ssh and shells say where a test can't bring them to it. The texts are OpenSSH 9.2's and bash's and dash's own.
func TestExplain(t *testing.T) {
	tests := []struct {
		name    string
		greeted bool
		up      bool
		end     *run.Error
		want    string
	}{
		{
			name: "no name", end: &run.Error{Code: 255, Stderr: "ssh: Could not resolve hostname node3: Name or service not known\r\n"},
			want: "no address is found for node3: correct the node's address, DNS or /etc/hosts",
		},
		{
			name: "down", end: &run.Error{Code: 255, Stderr: "ssh: connect to host node3 port 22: No route to host\r\n"},
			want: "node3 is not in the network: is the node up? try: ping node3",
		},
		{
			name: "no network", end: &run.Error{Code: 255, Stderr: "ssh: connect to host node3 port 22: Network is unreachable\r\n"},
			want: "there is no route to node3: look: ip route get node3",
		},
		{
			name: "no packets", end: &run.Error{Code: 255, Stderr: "ssh: connect to host node3 port 22: Connection timed out\r\n"},
			want: "node3 does not answer (timed out): is the node up? try: ping node3",
		},
		{
			name: "many keys", up: true, end: &run.Error{Code: 255, Stderr: "Received disconnect from 10.0.0.3 port 22:2: Too many authentication failures\r\nDisconnected from 10.0.0.3 port 22\r\n"},
			want: "node3 has refused root@node3 after too many keys: set ssh.options to -o IdentitiesOnly=yes -i KEY",
		},
		{
			name: "cut off before hello", end: &run.Error{Code: 255, Stderr: "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.3 port 22\r\n"},
			want: "exit status 255: Connection closed by 10.0.0.3 port 22: try: ssh root@node3",
		},
		{
			name: "dash lacks it", up: true, end: &run.Error{Code: 127, Stderr: "sh: 1: cephctl: not found\n"},
			want: "cephctl is not installed there: install the same version there as here",
		},
		{
			name: "other architecture", up: true, end: &run.Error{Code: 126, Stderr: "bash: line 1: /usr/sbin/cephctl: cannot execute binary file: Exec format error\n"},
			want: "cephctl can't be run there (bash: line 1: /usr/sbin/cephctl: cannot execute binary file: Exec format error): try: ssh root@node3",
		},
		{
			name: "killed under a shell", up: true, end: &run.Error{Code: 137},
			want: "its agent was killed (killed): run the same command again",
		},
		{
			name: "killed at work under a shell", greeted: true, end: &run.Error{Code: 143},
			want: "its agent was killed (terminated): run the same command again",
		},
		{
			name: "killed at work", greeted: true, end: &run.Error{Code: 255},
			want: "its agent was killed: run the same command again",
		},
		{
			name: "silence", greeted: true, end: &run.Error{Code: 255, Stderr: "Timeout, server node3 not responding.\r\n"},
			want: "the connection was lost (Timeout, server node3 not responding.): its agent finishes what it has begun; run the same command again",
		},
		{
			name: "crash", greeted: true, end: &run.Error{Code: 2, Stderr: "fatal error: out of memory\n"},
			want: "its agent has ended early (exit status 2: fatal error: out of memory): run the same command again",
		},
		{name: "no end", greeted: true, want: "its agent has ended without a result: run the same command again"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := call{
				node: control.Node{Name: "node3.lab", Address: "node3"}, user: "root", started: time.Now(),
				greeted: test.greeted, answer: agent.ErrNoHello,
			}
			if test.greeted {
				c.answer = agent.ErrTruncated
			}
			if test.end != nil {
				c.process = test.end
			}
			err := c.err(context.Background())
			if diff := cmp.Diff("reach node3.lab: "+test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if errors.Is(err, control.ErrUnreachable) == test.greeted {
				t.Errorf("error wraps ErrUnreachable: %t", !test.greeted)
			}
			if errors.Is(err, control.ErrRefused) != test.up {
				t.Errorf("error wraps ErrRefused: %t", !test.up)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	tr, err := New(Options{Host: "node1", SSHOptions: []string{"-o", "ProxyJump=gate"}, ConnectTimeout: 7 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	secret := agent.Request{Action: "put", Payload: []byte(`"AQBsecret=="`)}
	s, err := tr.stream(control.Node{Name: "node3", Address: "10.99.0.3"}, secret)
	if err != nil {
		t.Fatal(err)
	}
	want := "ssh -T -o BatchMode=yes -o ProxyJump=gate -o ConnectTimeout=7 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 " +
		"-o ControlMaster=no root@10.99.0.3 -- 'cephctl node-agent'"
	if diff := cmp.Diff(want, run.Quote(s.Argv)); diff != "" {
		t.Errorf("command line (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(`{"protocol":1,"version":"","action":"put","payload":"AQBsecret=="}`, string(s.Stdin)); diff != "" {
		t.Errorf("stdin (-want +got):\n%s", diff)
	}
	for _, address := range []string{"", "-oProxyCommand=x", "a b", "root@x"} {
		if _, err := tr.stream(control.Node{Name: "node3", Address: address}, secret); err == nil {
			t.Errorf("the address %q was taken", address)
		}
	}
	if _, err := New(Options{User: "-x"}); !errors.Is(err, control.ErrUsage) {
		t.Errorf("the user -x was taken: %v", err)
	}
}

func TestIsHere(t *testing.T) {
	tr, err := New(Options{Host: "node1.lab"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, address string
		want          bool
	}{
		{"node1.lab", "192.0.2.1", true},
		{"node1", "192.0.2.1", true},
		{"other", "node1.lab", true},
		{"other", "127.0.0.1", true},
		{"other", "192.0.2.1", false},
		{"node2.lab", "node2.lab", false},
	}
	for _, test := range tests {
		if got := tr.isHere(control.Node{Name: test.name, Address: test.address}); got != test.want {
			t.Errorf("%s at %s is here: %t", test.name, test.address, got)
		}
	}
}
