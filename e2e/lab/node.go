package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Node is one machine of a lab. It keeps its files and disks over reboots.
type Node struct {
	// Name is its host name.
	Name string
	// Address is its IPv4 address, which the host reaches too.
	Address string

	lab     *Nodes
	number  int
	hostKey *sshKey
	body    body

	mu sync.Mutex
	// machine is nil while the node is off.
	machine *machine
	boots   int
	cut     bool
	// retired is set when it must not boot any more.
	retired bool
	// bootErr says why it did not come back by itself from a reboot.
	bootErr error
}

// body is what a node is: a container or a virtual machine.
type body interface {
	// bootTimeout bounds how long it may take from its start until sshd answers.
	bootTimeout() time.Duration
	// boot switches it on and returns the process that ends with it. The node's lock is held.
	boot() (*process, error)
	// reboots tells whether a machine that has ended in this way wants to be booted again.
	reboots(state *os.ProcessState) bool
	// runs returns an error as long as it has no systemd of its own.
	runs(m *machine) error
	// command returns a command that will run in it.
	command(ctx context.Context, m *machine, args []string) (*exec.Cmd, error)
	// offCommand is command while it is off: only its files are there.
	offCommand(ctx context.Context, args []string) (*exec.Cmd, error)
	// waitReboot returns when it has gone down for a reboot.
	waitReboot(ctx context.Context, m *machine) error
	// kill ends it at once.
	kill(m *machine) error
	// plug gives it a file as one more disk, and returns the device.
	plug(ctx context.Context, file *os.File) (device string, err error)
}

// machine is a node from one time that it is switched on to the next.
type machine struct {
	// process ends with the machine.
	process *process
	// gone is closed when the node knows that the machine has ended.
	gone chan struct{}
}

func (n *Nodes) newNode(ctx context.Context, name string, number int, vm *VM) (*Node, error) {
	key, err := newSSHKey(ctx)
	if err != nil {
		return nil, err
	}
	node := &Node{Name: name, Address: n.network.address(number), lab: n, number: number, hostKey: key}
	if vm == nil {
		node.body = &container{node}
	} else {
		node.body = newVirtualMachine(node, *vm)
	}
	return node, nil
}

// path returns the path of something of the node's in the lab's folder.
func (n *Node) path(elem ...string) string {
	return n.lab.group.path(append([]string{n.Name}, elem...)...)
}

// changes is the folder of what the node's root folder has, and the base not.
func (n *Node) changes(elem ...string) string { return n.path(append([]string{"changes"}, elem...)...) }

// root is the node's root folder, mounted in the lab's namespace.
func (n *Node) root() string { return n.path("root") }

// create makes the node's file system. It is volatile, so that syncs cost nothing: it ends with the host at the latest.
func (n *Node) create(ctx context.Context, all []*Node) error {
	if err := n.lab.group.mkdirs(n.Name); err != nil {
		return err
	}
	for _, dir := range []string{n.changes(), n.changes("upper"), n.changes("work"), n.root()} {
		// The mode of upper becomes that of the node's root folder.
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	options := fmt.Sprintf("volatile,lowerdir=%s,upperdir=%s,workdir=%s", n.lab.base, n.changes("upper"), n.changes("work"))
	if _, err := n.lab.namespace.run(ctx, "mount", "-t", "overlay", "-o", options, "lab", n.root()); err != nil {
		return fmt.Errorf("mount overlay: %w (TMPDIR must be on a file system that overlays can be made of)", err)
	}
	for _, file := range []struct {
		path, content string
		mode          os.FileMode
	}{
		{"/etc/hostname", n.Name + "\n", 0o644},
		{"/etc/machine-id", strings.ReplaceAll(newUUID(), "-", "") + "\n", 0o444},
		{"/etc/ssh/ssh_host_ed25519_key", string(n.hostKey.Private), 0o600},
		{"/etc/ssh/ssh_host_ed25519_key.pub", n.hostKey.Public + " root@" + n.Name + "\n", 0o644},
		{"/root/.ssh/authorized_keys", n.lab.key.Public + " lab\n", 0o600},
		{"/root/.ssh/id_ed25519", string(n.lab.key.Private), 0o600},
		{"/root/.ssh/id_ed25519.pub", n.lab.key.Public + " lab\n", 0o644},
	} {
		if err := n.WriteFile(ctx, file.path, []byte(file.content), file.mode); err != nil {
			return err
		}
	}
	return n.meet(ctx, all)
}

// Start switches a node on that is off, and returns when sshd answers.
func (n *Node) Start(ctx context.Context) error {
	n.mu.Lock()
	err := n.boot()
	n.mu.Unlock()
	if err == nil {
		err = n.waitReady(ctx)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	return nil
}

// boot starts the machine. The caller holds the lock.
func (n *Node) boot() error {
	if n.retired {
		return errors.New("the nodes are being stopped")
	}
	if n.machine != nil {
		return errors.New("it is on")
	}
	n.boots++
	p, err := n.body.boot()
	if err != nil {
		return err
	}
	n.machine, n.bootErr = &machine{process: p, gone: make(chan struct{})}, nil
	go n.supervise(n.machine)
	return nil
}

// supervise waits for the end of a machine, and boots the node again when it wanted a reboot.
func (n *Node) supervise(m *machine) {
	<-m.process.done
	n.mu.Lock()
	defer n.mu.Unlock()
	defer close(m.gone)
	n.machine = nil
	if n.body.reboots(m.process.cmd.ProcessState) && !n.retired {
		n.bootErr = n.boot()
	}
}

// retire makes sure that the node does not boot any more.
func (n *Node) retire() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.retired = true
}

// current returns the machine that runs.
func (n *Node) current() (*machine, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.machine == nil {
		return nil, errors.Join(fmt.Errorf("%s is off", n.Name), n.bootErr)
	}
	return n.machine, nil
}

// waitReady waits until sshd answers, or runs when the network is cut, and nothing is left that starts at boot.
func (n *Node) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.body.bootTimeout())
	defer cancel()
	err := waitFor(ctx, n.Name, quickPoll, func() (bool, error) {
		m, err := n.current()
		if err != nil {
			return false, err
		}
		if err := n.body.runs(m); err != nil {
			return false, m.process.alive()
		}
		if !n.answers(ctx) {
			return false, nil
		}
		// It also fails when a unit has failed, which may be what a test wants.
		_, _ = n.Exec(ctx, "systemctl", "is-system-running", "--wait")
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("%w: its console: %s", err, tail(n.lab.group.path(n.Name+".out"), 2000))
	}
	return nil
}

// answerTimeout is what sshd has to say what it is. On a busy machine it has to wait for its turn.
const answerTimeout = 10 * time.Second

// answers tells whether sshd does.
func (n *Node) answers(ctx context.Context) bool {
	n.mu.Lock()
	cut := n.cut
	n.mu.Unlock()
	if cut {
		_, err := n.Exec(ctx, "systemctl", "is-active", "--quiet", "ssh.service")
		return err == nil
	}
	conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "tcp", net.JoinHostPort(n.Address, "22"))
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return false
	}
	banner := make([]byte, len("SSH-"))
	_, err = io.ReadFull(conn, banner)
	return err == nil && string(banner) == "SSH-"
}

// Reboot shuts the node down in order and returns when sshd answers again.
func (n *Node) Reboot(ctx context.Context) error {
	err := n.shutDown(ctx, "reboot", n.body.waitReboot)
	if err == nil {
		err = n.waitReady(ctx)
	}
	if err != nil {
		return fmt.Errorf("reboot %s: %w", n.Name, err)
	}
	return nil
}

// PowerOff shuts the node down in order and returns when it is off.
func (n *Node) PowerOff(ctx context.Context) error {
	err := n.shutDown(ctx, "poweroff", func(ctx context.Context, m *machine) error { return m.waitGone(ctx) })
	if err != nil {
		return fmt.Errorf("power off %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) shutDown(ctx context.Context, how string, wait func(context.Context, *machine) error) error {
	m, err := n.current()
	if err != nil {
		return err
	}
	if _, err := n.Exec(ctx, "systemctl", "--no-block", how); err != nil {
		return err
	}
	return wait(ctx, m)
}

// Kill ends the node as a loss of power does, and returns when it is off: no process has a say, and no other node is
// told.
func (n *Node) Kill(ctx context.Context) error {
	if err := n.kill(ctx); err != nil {
		return fmt.Errorf("kill %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) kill(ctx context.Context) error {
	m, err := n.current()
	if err != nil {
		return err
	}
	// Before the kernel closes the connections of what is killed.
	if _, err := n.lab.group.run(ctx, "ip", "link", "set", n.port(), "down"); err != nil {
		return err
	}
	if err := n.body.kill(m); err != nil {
		return err
	}
	return m.waitGone(ctx)
}

func (m *machine) waitGone(ctx context.Context) error {
	select {
	case <-m.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
