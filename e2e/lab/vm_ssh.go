package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// sshTimeout bounds what sshd of a virtual machine is asked for by the lab itself.
const sshTimeout = time.Minute

// commandScript runs a command as the leader of a session of its own, so that it can be killed with all that it has
// started: $1 is the file with its number, which is removed. An end by a signal is a status above 128, as of any shell.
const commandScript = `file=$1
shift
echo $$ >"$file"
[ ! -e "$file.kill" ] || exit 137
env --chdir=/root -i "$@"
status=$?
rm -f "$file"
exit $status`

// killScript kills what commandScript has begun, or is about to begin.
const killScript = `touch "$1.kill"
[ ! -s "$1" ] || kill -KILL "-$(cat "$1")" || true`

// command runs a command through the connection that all share, as the handshake of another takes a second.
func (v *virtualMachine) command(ctx context.Context, m *machine, args []string) (*exec.Cmd, error) {
	if err := v.connect(ctx, m); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", v.node.Name, err)
	}
	v.mu.Lock()
	v.commands++
	file := fmt.Sprintf("/run/lab-command-%d", v.commands)
	v.mu.Unlock()
	remote := append([]string{"exec", "setsid", "--wait", "sh", "-c", commandScript, "lab-command", file}, nodeEnv...)
	cmd := v.sshCommand(ctx, append(remote, args...)...)
	kill := cmd.Cancel
	cmd.Cancel = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), sshTimeout)
		defer cancel()
		out, err := v.sshCommand(ctx, "sh", "-c", killScript, "lab-kill", file).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("kill %s on %s: %w: %s", args[0], v.node.Name, err, out)
		}
		return errors.Join(err, kill())
	}
	return cmd, nil
}

// sshCommand returns a command that runs the words in the virtual machine.
func (v *virtualMachine) sshCommand(ctx context.Context, words ...string) *exec.Cmd {
	args := append(v.sshOptions(), "-o", "ControlMaster=no", v.node.Address, quoteWords(words))
	return v.node.lab.group.command(ctx, "ssh", args...)
}

// sshOptions are the options of every ssh. Paths are relative to the group's folder: those of sockets have to be short.
func (v *virtualMachine) sshOptions() []string {
	return []string{
		"-F", "none", "-T", "-l", "root", "-i", v.node.Name + "/key", "-S", v.node.Name + "/ssh",
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
		"-o", "UserKnownHostsFile=" + v.node.Name + "/known_hosts", "-o", "GlobalKnownHostsFile=none",
		"-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6",
	}
}

// connect makes the connection that all commands share, if it is not there.
func (v *virtualMachine) connect(ctx context.Context, m *machine) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ssh != nil && v.ssh.alive() == nil {
		return nil
	}
	if err := m.process.alive(); err != nil {
		return err
	}
	n := v.node
	for name, content := range map[string][]byte{
		"key":         n.lab.key.Private,
		"known_hosts": knownHosts([]*Node{n}),
	} {
		if err := os.WriteFile(n.path(name), content, 0o600); err != nil {
			return err
		}
	}
	// One that was killed leaves it.
	if err := os.RemoveAll(n.path("ssh")); err != nil {
		return err
	}
	ssh, err := n.lab.group.start(n.Name+".ssh", "ssh", append(v.sshOptions(), "-M", "-N", n.Address)...)
	if err != nil {
		return err
	}
	v.ssh = ssh
	ctx, cancel := context.WithTimeout(ctx, sshTimeout)
	defer cancel()
	return waitFor(ctx, "ssh", quickPoll, func() (bool, error) {
		_, err := os.Stat(n.path("ssh"))
		return err == nil, ssh.alive()
	})
}

// quoteWords returns a line that a shell takes apart into these words.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
