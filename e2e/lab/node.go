package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// rebootStatus is the status with which systemd-nspawn asks to be started again.
const rebootStatus = 133

// Node is one machine of a lab. It keeps its files and disks over reboots.
type Node struct {
	// Name is its host name.
	Name string
	// Address is its IPv4 address, which the host reaches too.
	Address string

	lab     *Nodes
	number  int
	hostKey *sshKey

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

// machine is a node from one boot to the next.
type machine struct {
	// nspawn is nsenter, which waits for systemd-nspawn and ends as that does.
	nspawn *process
	// gone is closed when the node knows that the machine has ended.
	gone chan struct{}
}

func (n *Nodes) newNode(ctx context.Context, name string, number int) (*Node, error) {
	key, err := newSSHKey(ctx)
	if err != nil {
		return nil, err
	}
	return &Node{Name: name, Address: n.network.address(number), lab: n, number: number, hostKey: key}, nil
}

// path returns the path of something of the node's in the lab's folder.
func (n *Node) path(elem ...string) string {
	return n.lab.group.path(append([]string{n.Name}, elem...)...)
}

// root is the node's root folder, mounted in the lab's namespace.
func (n *Node) root() string { return n.path("root") }

// create makes the node's file system. It is volatile, so that syncs cost nothing: it ends with the host at the latest.
func (n *Node) create(ctx context.Context, all []*Node) error {
	if err := n.lab.group.mkdirs(n.Name); err != nil {
		return err
	}
	for _, dir := range []string{"upper", "work", "root"} {
		// The mode of upper becomes that of the node's root folder.
		if err := os.Mkdir(n.path(dir), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	options := fmt.Sprintf("volatile,lowerdir=%s,upperdir=%s,workdir=%s", n.lab.base, n.path("upper"), n.path("work"))
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

// bootScript gives a node a new network namespace and a new control group, and becomes systemd-nspawn, which finds the
// address in place. A link that is down stays so.
const bootScript = `set -e
netns=/run/lab/$NODE
mkdir -p /run/lab
[ ! -e "$netns" ] || umount "$netns"
# That of the last boot goes by itself, but later.
ip link delete "$PORT" 2>/dev/null || true
: >"$netns"
unshare --net="$netns" true
ip link add "$PORT" type veth peer name eth0 address "$MAC" netns "$netns"
ip link set "$PORT" master "$BRIDGE" "$LINK"
nsenter --net="$netns" sh -ec '
	ip link set lo up
	ip address add "$ADDRESS/24" dev eth0
	ip link set eth0 up'
mkdir "/sys/fs/cgroup/$CGROUP"
echo 0 >"/sys/fs/cgroup/$CGROUP/cgroup.procs"
exec systemd-nspawn --network-namespace-path="$netns" "$@"
`

// boot starts systemd-nspawn. The caller holds the lock.
func (n *Node) boot() error {
	if n.retired {
		return errors.New("the nodes are being stopped")
	}
	if n.machine != nil {
		return errors.New("it is on")
	}
	n.boots++
	variables := []string{
		"NODE=" + n.Name,
		"PORT=" + n.port(),
		"BRIDGE=" + n.lab.network.Bridge,
		"MAC=" + n.lab.network.mac(n.number),
		"LINK=" + n.link(),
		"ADDRESS=" + n.Address,
		fmt.Sprintf("CGROUP=%s/%s.%d", n.lab.ID, n.Name, n.boots),
		"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
	}
	args := append([]string{"env"}, variables...)
	args = append(args, "sh", "-c", bootScript, "lab-boot",
		"--quiet", "--boot", "--register=no", "--keep-unit", "--directory="+n.root(),
		"--machine="+n.lab.ID+"-"+strconv.Itoa(n.number), "--hostname="+n.Name,
		// All but the host's clock.
		"--capability=all", "--drop-capability=CAP_SYS_TIME",
		"--console=read-only", "--link-journal=no", "--resolv-conf=off", "--timezone=off")
	p, err := n.lab.group.start(n.Name, "nsenter", n.lab.namespace.args(args[0], args[1:])...)
	if err != nil {
		return err
	}
	n.machine, n.bootErr = &machine{nspawn: p, gone: make(chan struct{})}, nil
	go n.supervise(n.machine)
	return nil
}

// supervise waits for the end of a machine, and boots the node again when it wanted a reboot.
func (n *Node) supervise(m *machine) {
	<-m.nspawn.done
	n.mu.Lock()
	defer n.mu.Unlock()
	defer close(m.gone)
	n.machine = nil
	if m.nspawn.cmd.ProcessState.ExitCode() == rebootStatus && !n.retired {
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

// init returns the process id of a machine's systemd, as the host numbers it, or an error as long as there is none: what
// is there before has not left the host's root folder yet.
func (n *Node) init(m *machine) (int, error) {
	if err := m.nspawn.alive(); err != nil {
		return 0, err
	}
	// nsenter, systemd-nspawn, systemd.
	pids := []int{m.nspawn.Pid}
	for range 2 {
		var next []int
		for _, pid := range pids {
			children, err := childrenOf(pid)
			if err != nil {
				return 0, fmt.Errorf("find the systemd of %s: %w", n.Name, err)
			}
			next = append(next, children...)
		}
		pids = next
	}
	for _, pid := range pids {
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && filepath.Base(program) == "systemd" {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("find the systemd of %s: it does not run yet", n.Name)
}

// waitReady waits until sshd answers, or runs when the network is cut, and nothing is left that starts at boot.
func (n *Node) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	return waitFor(ctx, n.Name, quickPoll, func() (bool, error) {
		m, err := n.current()
		if err != nil {
			return false, fmt.Errorf("%w: %s", err, tail(n.lab.group.path(n.Name+".out"), 1000))
		}
		if _, err := n.init(m); err != nil {
			return false, m.nspawn.alive()
		}
		if !n.answers(ctx) {
			return false, nil
		}
		// It also fails when a unit has failed, which may be what a test wants.
		_, _ = n.Exec(ctx, "systemctl", "is-system-running", "--wait")
		return true, nil
	})
}

// answers tells whether sshd does.
func (n *Node) answers(ctx context.Context) bool {
	n.mu.Lock()
	cut := n.cut
	n.mu.Unlock()
	if cut {
		_, err := n.Exec(ctx, "systemctl", "is-active", "--quiet", "ssh.service")
		return err == nil
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(n.Address, "22"))
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	banner := make([]byte, len("SSH-"))
	_, err = io.ReadFull(conn, banner)
	return err == nil && string(banner) == "SSH-"
}

// Reboot shuts the node down in order and returns when sshd answers again.
func (n *Node) Reboot(ctx context.Context) error {
	if err := n.shutDown(ctx, "reboot"); err != nil {
		return err
	}
	if err := n.waitReady(ctx); err != nil {
		return fmt.Errorf("reboot %s: %w", n.Name, err)
	}
	return nil
}

// PowerOff shuts the node down in order and returns when it is off.
func (n *Node) PowerOff(ctx context.Context) error { return n.shutDown(ctx, "poweroff") }

func (n *Node) shutDown(ctx context.Context, how string) error {
	m, err := n.current()
	if err == nil {
		_, err = n.Exec(ctx, "systemctl", "--no-block", how)
	}
	if err == nil {
		err = m.waitGone(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", how, n.Name, err)
	}
	return nil
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
	pid, err := n.init(m)
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
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
