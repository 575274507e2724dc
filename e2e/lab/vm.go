package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// VM makes a node a virtual machine: with Debian's kernel, which has LVM and the kernel clients of Ceph, and a clock of
// its own. It boots the same base as the containers, in half a minute, and runs some ten times slower than they do.
// Commands reach it through its network only.
type VM struct {
	// MemoryMiB is how much memory it has. Default: 2048.
	MemoryMiB int
}

// vmSizeMiB is how large the disk of a virtual machine is that has what is not in the base.
const vmSizeMiB = 16 << 10

// virtualMachine is a node that QEMU runs.
type virtualMachine struct {
	node *Node
	VM

	mu sync.Mutex
	// ssh is the connection that all commands share, or nil. It ends when the machine goes down.
	ssh      *process
	commands int
	// disks are the files of the disks that it was given.
	disks []string
}

func newVirtualMachine(node *Node, vm VM) *virtualMachine {
	if vm.MemoryMiB == 0 {
		vm.MemoryMiB = 2048
	}
	return &virtualMachine{node: node, VM: vm}
}

// vmBootScript makes the disk of what has been written for the virtual machine so far, and becomes QEMU.
const vmBootScript = `set -e
if [ ! -e "$DISK" ]; then
	mkfs.ext4 -q -d "$CHANGES" "$DISK.new" "$SIZE"
	mv "$DISK.new" "$DISK"
fi
ip link show "$PORT" >/dev/null 2>&1 || ip tuntap add dev "$PORT" mode tap
ip link set "$PORT" master "$BRIDGE" "$LINK"
exec qemu-system-x86_64 "$@"
`

func (v *virtualMachine) bootTimeout() time.Duration { return 15 * time.Minute }

func (v *virtualMachine) boot() (*process, error) {
	n := v.node
	args := []string{
		"DISK=" + v.disk(),
		fmt.Sprintf("SIZE=%dM", vmSizeMiB),
		"CHANGES=" + n.changes(),
		"PORT=" + n.port(),
		"BRIDGE=" + n.lab.network.Bridge,
		"LINK=" + n.link(),
		"sh", "-c", vmBootScript, "lab-boot",
	}
	return n.lab.group.start(n.Name, "env", append(args, v.qemuArgs()...)...)
}

func (v *virtualMachine) qemuArgs() []string {
	n := v.node
	args := []string{
		// Not KVM: where a machine is itself virtual, its device may be there and not work.
		"-name", n.Name, "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", strconv.Itoa(v.MemoryMiB),
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
		"-qmp", "unix:" + n.Name + "/qmp,server=on,wait=off",
		"-kernel", n.lab.kernel + "/vmlinuz", "-initrd", n.lab.kernel + "/initrd",
		// Where the host is busy, Linux mistrusts the TSC and asks QEMU for the time instead, which makes all slower yet. With
		// the mitigations of this CPU, QEMU would forget its TLB at each system call.
		"-append", "console=ttyS0 loglevel=4 mitigations=off tsc=reliable clocksource=tsc net.ifnames=0 lab.address=" + n.Address,
		"-drive", "if=none,id=base,format=raw,readonly=on,file=" + n.lab.kernel + "/base",
		"-device", "virtio-blk-pci,drive=base,serial=base",
		"-netdev", "tap,id=net,script=no,downscript=no,ifname=" + n.port(),
		"-device", "virtio-net-pci,romfile=,netdev=net,mac=" + n.lab.network.mac(n.number),
		"-device", "virtio-rng-pci",
	}
	for i, file := range append([]string{v.disk()}, v.disks...) {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=%s,format=raw,cache=unsafe,discard=unmap,file=%s", diskName(i), file),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%[1]s", diskName(i)))
	}
	return args
}

// disk is the file of the disk that has what is not in the base.
func (v *virtualMachine) disk() string { return v.node.path("disk") }

// reboots is always false: QEMU stays when its guest boots again.
func (v *virtualMachine) reboots(*os.ProcessState) bool { return false }

func (v *virtualMachine) runs(m *machine) error { return m.process.alive() }

func (v *virtualMachine) waitReboot(ctx context.Context, m *machine) error {
	v.mu.Lock()
	ssh := v.ssh
	v.mu.Unlock()
	if ssh == nil {
		return errors.New("it was not connected")
	}
	select {
	case <-ssh.done:
		return m.process.alive()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (v *virtualMachine) kill(m *machine) error { return m.process.kill() }

func (v *virtualMachine) offCommand(ctx context.Context, args []string) (*exec.Cmd, error) {
	if _, err := os.Stat(v.disk()); err == nil {
		return nil, errors.New("it can't be reached")
	}
	return v.node.chrootCommand(ctx, args), nil
}
