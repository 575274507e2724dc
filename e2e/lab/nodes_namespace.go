package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// namespace is a mount and a PID namespace whose first process is a member of a group. The kernel kills what runs in it
// and unmounts what was mounted in it when that process is killed, so that of both nothing can stay behind. The host
// sees the processes, but not the mounts.
type namespace struct {
	group *group
	// pid is the first process, as the host numbers it.
	pid int
}

// namespaceScript prepares what systemd-nspawn would otherwise share with the host: /run, where it keeps locks and
// sockets, and control groups. Those are always the second version's, whatever the host has mounted, and the lab has
// its own. The last line is what newNamespace waits for.
const namespaceScript = `set -e
mount -t tmpfs -o mode=755 lab /run
[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 lab /sys/fs/cgroup
[ -z "$1" ] || mkdir "/sys/fs/cgroup/$1"
echo ready
exec sleep infinity`

// newNamespace makes a namespace, and in it a control group when that is not "".
func newNamespace(ctx context.Context, group *group, cgroup string) (*namespace, error) {
	p, err := group.start("namespace", "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
		"--mount-proc", "sh", "-c", namespaceScript, "lab-namespace", cgroup)
	if err != nil {
		return nil, err
	}
	err = waitFor(ctx, "a namespace", quickPoll, func() (bool, error) {
		return strings.HasSuffix(tail(p.output, 100), "ready"), p.alive()
	})
	if err != nil {
		return nil, err
	}
	children, err := childrenOf(p.Pid)
	if err != nil {
		return nil, fmt.Errorf("find namespace: %w", err)
	}
	if len(children) != 1 {
		return nil, errors.New("find namespace: unshare has no child")
	}
	return &namespace{group: group, pid: children[0]}, nil
}

// command returns a command that will run in the namespace.
func (n *namespace) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return n.group.command(ctx, "nsenter", n.args(name, args)...)
}

// run is group.run in the namespace.
func (n *namespace) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	return n.group.run(ctx, "nsenter", n.args(name, args)...)
}

// args returns the arguments that make nsenter run a command in the namespace.
func (n *namespace) args(name string, args []string) []string {
	return append([]string{"--target", strconv.Itoa(n.pid), "--mount", "--pid", "--", name}, args...)
}

// childrenOf returns the children of a process.
func childrenOf(pid int) ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var children []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(content)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("parse %s: %w", file, err)
			}
			children = append(children, child)
		}
	}
	return children, nil
}
