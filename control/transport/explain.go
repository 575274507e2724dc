package transport

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

const (
	// sshFailed is ssh's own exit status; others are those of what it has run.
	sshFailed = 255
	// cannotRun and notFound are those of a shell.
	cannotRun = 126
	notFound  = 127
	// signalled is what a shell adds to the number of the signal that ended a command.
	signalled = 128
)

// failure is something that ssh says on standard error, and what it means. {login} is user@address.
type failure struct {
	says       string
	text, cure string
	// up tells that the node has said something, if only no.
	up bool
}

// failures are in the order of precedence: ssh says some of them together.
var failures = []failure{
	{
		"REMOTE HOST IDENTIFICATION HAS CHANGED", "the host key of {address} has changed",
		"if the node was installed anew, ssh-keygen -R {address} and accept the new key by: ssh {login}", true,
	},
	{
		"Host key verification failed", "the host key of {address} is not known here",
		"compare and accept it by: ssh {login}", true,
	},
	{
		"Too many authentication failures", "{address} has refused {login} after too many keys",
		"set ssh.options to -o IdentitiesOnly=yes -i KEY", true,
	},
	{
		"Permission denied (", "{address} has refused the login as {user}",
		"authorise this host's key there: ssh-copy-id {login}", true,
	},
	{
		"Could not resolve hostname", "no address is found for {address}",
		"correct the node's address, DNS or /etc/hosts", false,
	},
	{
		"Connection refused", "the connection to {address} was refused",
		"is sshd running there? look: systemctl status ssh", true,
	},
	{"No route to host", "{address} is not in the network", "is the node up? try: ping {address}", false},
	{"Network is unreachable", "there is no route to {address}", "look: ip route get {address}", false},
	{"timed out", "{address} does not answer (timed out)", "is the node up? try: ping {address}", false},
	{"Timeout, server", "{address} does not answer any more", "is the node up? try: ping {address}", false},
	{
		"Bad configuration option", "ssh's configuration has an option that ssh does not know",
		"correct ssh.options or ssh's configuration; try: ssh {login}", false,
	},
}

// losses are what ssh says when a connection ends that was there.
var losses = []string{
	"Timeout, server", "Broken pipe", "closed by remote host", "Connection reset", "Connection to ", "Connection closed",
}

// known explains the end of a command that has reached no agent, as far as that is known.
func (c *call) known(end *run.Error) (text, cure string, ok bool) {
	switch end.Code {
	case notFound:
		return "cephctl is not installed there", "install the same version there as here", true
	case cannotRun:
		return "cephctl can't be run there (" + lastLine(end.Stderr) + ")", c.try(), true
	case sshFailed:
		return c.explain(end.Stderr)
	}
	if sig := signalOf(end); sig != 0 {
		return fmt.Sprintf("its agent was killed (%s)", sig), "run the same command again", true
	}
	return "", "", false
}

// explain says what ssh has said.
func (c *call) explain(stderr string) (text, cure string, ok bool) {
	f, ok := failureOf(stderr)
	fill := strings.NewReplacer("{address}", c.node.Address, "{user}", c.user, "{login}", c.user+"@"+c.node.Address)
	return fill.Replace(f.text), fill.Replace(f.cure), ok
}

// failureOf finds what ssh has said among the failures.
func failureOf(stderr string) (f failure, ok bool) {
	i := slices.IndexFunc(failures, func(f failure) bool { return strings.Contains(stderr, f.says) })
	if i < 0 {
		return failure{}, false
	}
	return failures[i], true
}

// isUp tells of a node whose agent has not answered that it is up all the same: it has refused ssh, or let it in.
func (c *call) isUp() bool {
	var end *run.Error
	switch {
	case c.process == nil:
		return true
	case !errors.As(c.process, &end), end.Code < 0:
		return false
	case end.Code == sshFailed:
		f, _ := failureOf(end.Stderr)
		return f.up
	}
	return true
}

// lossOf returns the line by which ssh says that the connection has ended, or nothing.
func lossOf(stderr string) string {
	for line := range strings.Lines(stderr) {
		for _, loss := range losses {
			if strings.Contains(line, loss) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// signalOf returns the signal that has ended a command, as the kernel or as a shell at the other end tells it, or 0.
func signalOf(end *run.Error) syscall.Signal {
	if sig := end.Signal(); sig != 0 {
		return sig
	}
	if signalled < end.Code && end.Code < signalled+65 {
		return syscall.Signal(end.Code - signalled)
	}
	return 0
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
