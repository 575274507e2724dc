package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// NodesOptions says what StartNodes starts. The zero value is three nodes.
type NodesOptions struct {
	// Count is how many nodes "node1", "node2", … there are.
	Count int
	// Names are the names of the nodes, when they are not these.
	Names []string
	// Suite is the release of Debian on them, such as trixie, when it is not the host's.
	Suite string
	// Progress, when set, is told what is being done.
	Progress func(step string)
}

// Nodes are machines on a network of their own, without access to any other. Each has its own systemd, sshd and Ceph's
// packages as Debian installs them. It is a container with the host's kernel and clock, or a [VM]. As root, every node reaches every other by name
// with ssh, which knows all host keys.
type Nodes struct {
	// Dir is the folder that holds everything; it is removed by Stop.
	Dir string
	// ID is how the names of all begin that is not in the folder: the bridge, its ports, the control group.
	ID string

	group     *group
	namespace *namespace
	network   *network
	base      string
	// kernel is the folder of what virtual machines boot with, once there was one.
	kernel   string
	key      *sshKey
	progress func(string)

	// adding is held while the list of nodes changes and the nodes are told of it.
	adding sync.Mutex
	mu     sync.Mutex
	nodes  []*Node
	loops  []*os.File
}

// nodesCleanup is the shell script that undoes what neither is a process, nor a mount in their namespace, nor a loop
// device that they hold. The control groups are where they are on any host when they are mounted once more.
func nodesCleanup(id string) string {
	return networkCleanup(id) + fmt.Sprintf(`exec unshare --mount sh -ec '
	[ "$(stat -f -c %%T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 lab /sys/fs/cgroup
	[ ! -e /sys/fs/cgroup/%[1]s ] || find /sys/fs/cgroup/%[1]s -depth -type d -exec rmdir {} +'
`, id)
}

// StartNodes starts nodes and returns when all of them answer. The first time on a machine, it makes the folder that
// they are overlays of, which takes some minutes.
func StartNodes(ctx context.Context, options NodesOptions) (*Nodes, error) {
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	if options.Count == 0 {
		options.Count = 3
	}
	if len(options.Names) == 0 {
		for i := range options.Count {
			options.Names = append(options.Names, fmt.Sprintf("node%d", i+1))
		}
	}
	base, err := nodeBase(ctx, options.Suite, options.Progress)
	if err != nil {
		return nil, fmt.Errorf("start nodes: %w", err)
	}
	var random [4]byte
	// Never fails: the runtime ends the program when the kernel gives no random bytes.
	_, _ = rand.Read(random[:])
	n := &Nodes{ID: fmt.Sprintf("lab%x", random), base: base, progress: options.Progress}
	if n.group, err = newGroupWith(groupOptions{Cleanup: nodesCleanup(n.ID)}); err != nil {
		return nil, fmt.Errorf("start nodes: %w", err)
	}
	n.Dir = n.group.Dir
	if err := n.start(ctx, options.Names); err != nil {
		return nil, errors.Join(fmt.Errorf("start nodes: %w", err), n.Stop())
	}
	return n, nil
}

func (n *Nodes) start(ctx context.Context, names []string) error {
	var err error
	if n.namespace, err = newNamespace(ctx, n.group, n.ID); err != nil {
		return err
	}
	if n.network, err = newNetwork(ctx, n.group, n.ID); err != nil {
		return err
	}
	if n.key, err = newSSHKey(ctx); err != nil {
		return err
	}
	_, err = n.add(ctx, names, nil)
	return err
}

// Stop kills all nodes and removes all that there was of them.
func (n *Nodes) Stop() error {
	for _, node := range n.List() {
		node.retire()
	}
	n.mu.Lock()
	loops := n.loops
	n.loops = nil
	n.mu.Unlock()
	for _, loop := range loops {
		loop.Close()
	}
	if err := n.group.close(); err != nil {
		return fmt.Errorf("stop nodes: %w", err)
	}
	return nil
}

// List returns all nodes, in the order in which they came.
func (n *Nodes) List() []*Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.nodes)
}

// Node returns the node with this name, or nil.
func (n *Nodes) Node(name string) *Node {
	for _, node := range n.List() {
		if node.Name == name {
			return node
		}
	}
	return nil
}

// AddNode starts one more node, makes it known to the others, and returns when it answers.
func (n *Nodes) AddNode(ctx context.Context, name string) (*Node, error) {
	return n.addOne(ctx, name, nil)
}

// AddVM is AddNode for a virtual machine.
func (n *Nodes) AddVM(ctx context.Context, name string, vm VM) (*Node, error) {
	return n.addOne(ctx, name, &vm)
}

func (n *Nodes) addOne(ctx context.Context, name string, vm *VM) (*Node, error) {
	nodes, err := n.add(ctx, []string{name}, vm)
	if err != nil {
		return nil, fmt.Errorf("add node: %w", err)
	}
	return nodes[0], nil
}

// add makes nodes, all of which know all that there are then, and starts them.
func (n *Nodes) add(ctx context.Context, names []string, vm *VM) ([]*Node, error) {
	n.adding.Lock()
	defer n.adding.Unlock()
	if vm != nil {
		var err error
		if n.kernel, err = vmKernel(ctx, n.base, n.progress); err != nil {
			return nil, err
		}
	}
	old := n.List()
	all := slices.Clone(old)
	for _, name := range names {
		if slices.ContainsFunc(all, func(node *Node) bool { return node.Name == name }) {
			return nil, fmt.Errorf("there are two nodes %s", name)
		}
		node, err := n.newNode(ctx, name, len(all)+1, vm)
		if err != nil {
			return nil, err
		}
		all = append(all, node)
	}
	n.mu.Lock()
	n.nodes = all
	n.mu.Unlock()

	added := all[len(old):]
	n.progress("booting " + strings.Join(names, ", "))
	tasks, ctx := errgroup.WithContext(ctx)
	for _, node := range old {
		tasks.Go(func() error { return node.meet(ctx, all) })
	}
	for _, node := range added {
		tasks.Go(func() error {
			if err := node.create(ctx, all); err != nil {
				return fmt.Errorf("make %s: %w", node.Name, err)
			}
			return node.Start(ctx)
		})
	}
	return added, tasks.Wait()
}

// meet tells a node of all nodes.
func (n *Node) meet(ctx context.Context, all []*Node) error {
	if err := n.WriteFile(ctx, "/etc/hosts", hosts(all), 0o644); err != nil {
		return err
	}
	return n.WriteFile(ctx, "/etc/ssh/ssh_known_hosts", knownHosts(all), 0o644)
}

// hosts returns the nodes as /etc/hosts has them.
func hosts(nodes []*Node) []byte {
	text := "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
	for _, node := range nodes {
		text += node.Address + " " + node.Name + "\n"
	}
	return []byte(text)
}

// knownHosts returns the nodes' host keys as ssh wants them.
func knownHosts(nodes []*Node) []byte {
	text := ""
	for _, node := range nodes {
		text += node.Name + "," + node.Address + " " + node.hostKey.Public + "\n"
	}
	return []byte(text)
}

// InstallBinary copies a program into all nodes.
func (n *Nodes) InstallBinary(ctx context.Context, path, dest string) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for _, node := range n.List() {
		tasks.Go(func() error { return node.CopyFile(ctx, path, dest, 0o755) })
	}
	return tasks.Wait()
}
