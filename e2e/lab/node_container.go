package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// rebootStatus is the status with which systemd-nspawn asks to be started again.
const rebootStatus = 133

// container is a node that systemd-nspawn runs. It has the host's kernel and clock.
type container struct{ node *Node }

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

func (c *container) boot() (*process, error) {
	n := c.node
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
	// The process is nsenter, which waits for systemd-nspawn and ends as that does.
	return n.lab.group.start(n.Name, "nsenter", n.lab.namespace.args(args[0], args[1:])...)
}

func (c *container) bootTimeout() time.Duration { return 5 * time.Minute }

func (c *container) reboots(state *os.ProcessState) bool { return state.ExitCode() == rebootStatus }

func (c *container) waitReboot(ctx context.Context, m *machine) error { return m.waitGone(ctx) }

func (c *container) runs(m *machine) error {
	_, err := c.init(m)
	return err
}

// init returns the process id of a machine's systemd, as the host numbers it, or an error as long as there is none: what
// is there before has not left the host's root folder yet.
func (c *container) init(m *machine) (int, error) {
	if err := m.process.alive(); err != nil {
		return 0, err
	}
	// nsenter, systemd-nspawn, systemd.
	pids := []int{m.process.Pid}
	for range 2 {
		var next []int
		for _, pid := range pids {
			children, err := childrenOf(pid)
			if err != nil {
				return 0, fmt.Errorf("find the systemd of %s: %w", c.node.Name, err)
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
	return 0, fmt.Errorf("find the systemd of %s: it does not run yet", c.node.Name)
}

// command enters the container's namespaces. It needs neither the network nor sshd.
func (c *container) command(ctx context.Context, m *machine, args []string) (*exec.Cmd, error) {
	pid, err := c.init(m)
	if err != nil {
		return nil, err
	}
	enter := []string{
		"--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--",
		"env", "--chdir=/root", "-i",
	}
	return c.node.lab.outside(ctx, append(append(enter, nodeEnv...), args...)), nil
}

func (c *container) offCommand(ctx context.Context, args []string) (*exec.Cmd, error) {
	return c.node.chrootCommand(ctx, args), nil
}

func (c *container) kill(m *machine) error {
	pid, err := c.init(m)
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
	return nil
}
