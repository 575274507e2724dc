package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
)

// nodeEnv is the environment of what is run in a node.
var nodeEnv = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LANG=C.UTF-8",
}

// Command returns a command that will run as root in the node, in /root. In a container it needs neither the network nor
// sshd. When ctx ends it is killed. It may be changed before it is started, but not its SysProcAttr or Cancel.
func (n *Node) Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	m, err := n.current()
	if err != nil {
		return nil, err
	}
	return n.body.command(ctx, m, args)
}

// chrootCommand returns a command that will run in the root folder of a node that is off.
func (n *Node) chrootCommand(ctx context.Context, args []string) *exec.Cmd {
	args = append([]string{"chroot", n.root(), "env", "-i"}, append(nodeEnv, args...)...)
	return n.lab.outside(ctx, n.lab.namespace.args(args[0], args[1:]))
}

// outside returns nsenter with arguments, for a process that is no member of the lab's group: it is in the lab's PID
// namespace, which ends it, and must not reach the group by a signal to its own. nsenter itself stays out of the
// namespace and only waits, so it is killed together with what it has started.
func (n *Nodes) outside(ctx context.Context, args []string) *exec.Cmd {
	cmd := n.group.command(ctx, "nsenter", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// Exec runs a command as root in the node and returns what it prints on standard output. An error carries what it
// printed on standard error, and is an *exec.ExitError when the command ran and failed.
func (n *Node) Exec(ctx context.Context, args ...string) ([]byte, error) {
	return n.ExecInput(ctx, nil, args...)
}

// ExecInput is Exec for a command that reads its standard input.
func (n *Node) ExecInput(ctx context.Context, input io.Reader, args ...string) ([]byte, error) {
	cmd, err := n.Command(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	cmd.Stdin = input
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("run %.100s on %s: %w", strings.Join(args, " "), n.Name, withStderr(ctx, err))
	}
	return out, nil
}

// WriteFile replaces or makes a file of the node, which may be off, and makes the folders that it is in.
func (n *Node) WriteFile(ctx context.Context, path string, content []byte, mode os.FileMode) error {
	return n.put(ctx, bytes.NewReader(content), path, mode)
}

// CopyFile is WriteFile with the content of a file of the host.
func (n *Node) CopyFile(ctx context.Context, source, path string, mode os.FileMode) error {
	file, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", n.Name, err)
	}
	defer file.Close()
	return n.put(ctx, file, path, mode)
}

// putScript replaces the file at once, so that a program that runs can be replaced too.
const putScript = `set -e
umask 022
mkdir -p -- "$1"
cat >"$1/.$2.lab"
chmod "$3" "$1/.$2.lab"
mv -f -- "$1/.$2.lab" "$1/$2"`

func (n *Node) put(ctx context.Context, content io.Reader, file string, mode os.FileMode) error {
	args := []string{"sh", "-c", putScript, "lab-put", path.Dir(file), path.Base(file), fmt.Sprintf("%04o", mode.Perm())}
	cmd, err := n.Command(ctx, args...)
	if err != nil {
		// It is off, or not far enough.
		cmd, err = n.body.offCommand(ctx, args)
	}
	if err != nil {
		return fmt.Errorf("write %s of %s: %w", file, n.Name, err)
	}
	cmd.Stdin = content
	if _, err := cmd.Output(); err != nil {
		return fmt.Errorf("write %s of %s: %w", file, n.Name, withStderr(ctx, err))
	}
	return nil
}
