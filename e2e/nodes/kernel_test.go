package nodes

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestKernelspace lets the kernel map the images of instances: in a virtual machine, whose kernel can, beside a container that
// carries the storage cluster, and whose kernel can't. The guests have no operating system, as they run in a machine that is
// virtual itself.
func TestKernelspace(t *testing.T) {
	onlyLong(t, "twenty minutes on a busy machine")
	t.Parallel() // most of the time, the virtual machine is waited for
	lab.RequireVM(t)
	s := newKernelSite(t)
	for _, part := range []struct {
		name string
		test func(*kernelSite)
	}{
		{"refused", testKernelRefused},
		{"start", testKernelStart},
		{"metrics", testKernelMetrics},
		{"killed", testKernelKilled},
		{"devices", testKernelDevices},
		{"left behind", testKernelLeft},
		{"speed", testKernelSpeed},
		{"dead node", testKernelDead},
	} {
		s.part(part.name, func() { part.test(s) })
	}
}

// kernelSite is a site of which one node is a virtual machine that only uses the storage cluster.
type kernelSite struct {
	*site
	vm *lab.Node
}

// kernelImage is the name of an image that has all that a name may have where the kernel maps it. kernelDisk is the same as
// a flag has it, and kernelQuoted as the shell does.
const (
	kernelImage  = `k:1=z,;%é"q\$x`
	kernelDisk   = `image=k:1=z\,;%é"q\\$x`
	kernelQuoted = "'rbd/" + kernelImage + "'"
)

// newKernelSite makes a cluster on a container, and a virtual machine a client of it. Its kernel is to map images.
func newKernelSite(t *testing.T) *kernelSite {
	t.Helper()
	s := &kernelSite{site: newSite(t, 1, 2)}
	booted := make(chan error, 1)
	go func() {
		var err error
		s.vm, err = s.addVM("node2", lab.VM{})
		booted <- err
	}()
	s.do("cluster", "init", "--name", "lab", "-S", "ceph:mons=1,size=2,min_size=1,osd_backend=raw,osd_memory_target=1G,host_reserve=512M")
	s.do("node", "add", "--address", s.master.Address, "node1")
	s.do("node", "modify", "-S", "ceph:disk="+strings.Join(s.disks["node1"], ",disk="), "node1")
	s.do("storage", "init-distributed-storage", "-s", "ceph", "default")
	if err := <-booted; err != nil {
		t.Fatal(err)
	}
	s.do("group", "add", "compute")
	s.do("node", "add", "--group", "compute", "--address", s.vm.Address, "node2")
	s.do("storage", "add-client", "compute")
	s.do("group", "modify", "-D", "rbd:access=kernelspace,cache=none", "compute")
	s.importBoot(kernelQuoted, bootMiB, false)
	s.do("instance", "add", "--node", "node2", "--memory", "16M", "--disk", kernelDisk, "k1.lab")
	return s
}

// bootMiB is what the guests write.
const bootMiB = 1

// testKernelRefused wants what can't be done refused, with nothing left of it: on a kernel without the module, and an
// image that the kernel does not know all features of, which shows when the module is loaded.
func testKernelRefused(s *kernelSite) {
	s.do("instance", "add", "--node", "node1", "--memory", "16M", "--disk", "size=8M,image=c1", "c1.lab")
	s.refused([]string{"loopback", "disk-no-krbd"}, "instance", "start", "--map", "c1.lab")
	s.refused([]string{"disk-no-krbd"}, "instance", "activate-disks", "--allow-loopback", "c1.lab")
	s.do("instance", "remove", "--images", "--yes", "c1.lab")

	run(s.t, s.master, "rbd create --size 8M --image-feature layering,exclusive-lock,journaling rbd/j1")
	s.do("instance", "add", "--node", "node2", "--memory", "16M", "--disk", "image=j1", "j1.lab")
	r := s.cephctl("instance", "start", "j1.lab")
	if r.code != 1 || !strings.Contains(r.stderr, "the kernel of this host does not know features of image rbd/j1: journaling") {
		s.t.Errorf("start with an image that has journaling: exit status %d: %s", r.code, r.stderr)
	}
	s.wantFree("j1")
	s.refused([]string{"disk-features"}, "instance", "activate-disks", "j1.lab")
	s.do("instance", "remove", "j1.lab")
	expect(s.t, s.vm, "ls /sys/bus/rbd/devices; pgrep qemu || true", "")
}

// wantFree wants nobody to have an image open, or to have claimed it.
func (s *kernelSite) wantFree(image string) {
	s.t.Helper()
	if watchers := s.watchers(image); len(watchers) > 0 {
		s.t.Errorf("image %s is open by %v", image, watchers)
	}
	info := answer[struct {
		ID string `json:"id"`
	}](s.site, "rbd info "+quoted(image)+" --format json #")
	claim := answer[struct {
		Lockers []any `json:"lockers"`
	}](s.site, "rados -p rbd --format json lock info rbd_header."+info.ID+" cephctl #")
	if len(claim.Lockers) > 0 {
		s.t.Errorf("image %s is claimed: %v", image, claim.Lockers)
	}
}

// quoted returns the name of an image with its pool, as the shell takes it.
func quoted(image string) string { return "'rbd/" + image + "'" }

// watchers returns who has an image open, as the cluster says.
func (s *kernelSite) watchers(image string) []string {
	s.t.Helper()
	status := answer[struct {
		Watchers []struct {
			Address string `json:"address"`
		} `json:"watchers"`
	}](s.site, "rbd status --format json "+quoted(image)+" #")
	var addresses []string
	for _, w := range status.Watchers {
		addresses = append(addresses, w.Address)
	}
	return addresses
}

// testKernelStart wants the image open by the kernel of the virtual machine alone, and what its guest has written in the image.
func testKernelStart(s *kernelSite) {
	r := s.cephctl("instance", "start", "--plan", "k1.lab", "-o", "json")
	if !strings.Contains(r.stdout, `device map --options noshare`) {
		s.t.Errorf("the plan does not say that the image is mapped: %s", r.stdout)
	}
	s.do("instance", "start", "k1.lab")
	address := s.wantKernel()
	info := s.do("instance", "info", "k1.lab").stdout
	for _, want := range []string{
		"state           running\n", "access      kernelspace (group)\n", "path        /dev/rbd0\n", "image       " + kernelImage + "\n", "size        2 MiB\n",
		"watchers    " + address + "\n", "claimed by  instance k1.lab on node2 ", "mapped as   /dev/rbd0\n",
	} {
		if !strings.Contains(info, want) {
			s.t.Errorf("instance info lacks %q:\n%s", want, info)
		}
	}
	// The kernel has the key from a keyring of its own, and neither in its arguments nor in its answers.
	expect(s.t, s.vm, "cat /sys/bus/rbd/devices/0/config_info | cut -d ' ' -f 2; cat /proc/[0-9]*/cmdline | grep -aEc '"+keyForm+"' || true",
		"name=instances,key=client.instances,noshare\n0")
	expect(s.t, s.vm, "tr '\\0' '\\n' </proc/$(cat /run/cephctl/kvm/pid/k1.lab)/cmdline | grep -o '\"driver\":\"host_device\",\"filename\":\"[^\"]*\"'",
		`"driver":"host_device","filename":"/dev/rbd0"`)
	want := fmt.Sprintf("%x", sha256.Sum256(lab.BootData(bootMiB)))
	waitUntil(s.t, "what the guest writes", func() bool {
		return strings.HasPrefix(run(s.t, s.master, "rbd export --no-progress "+kernelQuoted+" - | tail -c +1048577 | sha256sum"), want)
	})
}

// wantKernel wants the kernel of the virtual machine, and nobody else, to have the image open, and returns its address.
func (s *kernelSite) wantKernel() (address string) {
	s.t.Helper()
	address = run(s.t, s.vm, "cat /sys/bus/rbd/devices/0/client_addr")
	if watchers := s.watchers(kernelImage); len(watchers) != 1 || watchers[0] != address {
		s.t.Errorf("the image is open by %v, want %s alone", watchers, address)
	}
	return address
}

// testKernelMetrics wants the exporter to join the block device with the instance, and the instance with the image.
func testKernelMetrics(s *kernelSite) {
	s.installExporter(s.vm)
	defer run(s.t, s.vm, "systemctl stop ceph-ganeti-exporter")
	image, err := json.Marshal(kernelImage)
	if err != nil {
		s.t.Fatal(err)
	}
	s.awaitMetrics("http://"+s.vm.Address+":19283/metrics", "a kernelspace instance",
		`qemu_up{ganeti_instance="k1.lab"} 1`, `access="kernelspace",driver="host_device"`, `pool="rbd",image=`+string(image)+`} 1`,
		`krbd_mapped_info{device="rbd0",pool="rbd"`, `krbd_write_operations_total{device="rbd0",pool="rbd",image=`+string(image),
	)
}

// testKernelKilled kills QEMU, whose block device and claim stay. A start takes the claim over, and maps the image anew without
// keeping its own kernel out.
func testKernelKilled(s *kernelSite) {
	before := s.wantKernel()
	run(s.t, s.vm, "pkill -KILL qemu")
	info := s.do("instance", "info", "k1.lab").stdout
	for _, want := range []string{"state           stopped\n", " (which is dead)\n", "mapped as   /dev/rbd0\n"} {
		if !strings.Contains(info, want) {
			s.t.Errorf("instance info lacks %q:\n%s", want, info)
		}
	}
	s.do("instance", "start", "k1.lab")
	if after := s.wantKernel(); after == before {
		s.t.Errorf("the block device is still of %s", after)
	}
	expect(s.t, s.master, "ceph osd blocklist ls 2>/dev/null", "")
	s.do("instance", "stop", "--timeout", "0s", "k1.lab")
	s.wantFree(kernelImage)
	expect(s.t, s.vm, "ls /sys/bus/rbd/devices /run/cephctl/kvm/pid", "/run/cephctl/kvm/pid:\n\n/sys/bus/rbd/devices:")
}

// testKernelDevices uses the block device without the instance: it is claimed as long as it is there, and a file system on it
// keeps the instance from starting, and it from going.
func testKernelDevices(s *kernelSite) {
	r := s.do("instance", "activate-disks", "k1.lab")
	if !strings.Contains(r.stdout, "disk 0: /dev/rbd0\n") {
		s.t.Errorf("activate-disks does not name the device: %s", r.stdout)
	}
	s.nothingToDo("instance", "activate-disks", "k1.lab")
	s.refused([]string{"image-claimed"}, "instance", "start", "--node", "node1", "k1.lab")
	run(s.t, s.vm, "mkfs.ext4 -q /dev/rbd0; mount /dev/rbd0 /mnt")
	s.refused([]string{"device-in-use"}, "instance", "start", "k1.lab")
	s.refused([]string{"device-in-use"}, "instance", "deactivate-disks", "k1.lab")
	run(s.t, s.vm, "umount /mnt")
	s.openDevice(func() {
		if r := s.cephctl("instance", "start", "k1.lab"); r.code != 1 || !strings.Contains(r.stderr, "is mapped as /dev/rbd0 here, which is in use") {
			s.t.Errorf("start beside a program that has the block device open: exit status %d: %s", r.code, r.stderr)
		}
		s.refused([]string{"image-claimed"}, "instance", "start", "--node", "node1", "k1.lab")
	})
	s.do("instance", "deactivate-disks", "k1.lab")
	s.nothingToDo("instance", "deactivate-disks", "k1.lab")
	s.wantFree(kernelImage)
	s.importBoot("'rbd/new'", bootMiB, false)
	run(s.t, s.master, "rbd rm --no-progress "+kernelQuoted+"; rbd rename rbd/new "+kernelQuoted)
}

// openDevice does something while a program has the block device open.
func (s *kernelSite) openDevice(do func()) {
	s.t.Helper()
	run(s.t, s.vm, "systemd-run --quiet --unit=reader --property=StandardInput=file:/dev/rbd0 sleep infinity")
	waitUntil(s.t, "a program to open the block device", func() bool {
		return run(s.t, s.vm, "readlink /proc/$(systemctl show --value --property=MainPID reader)/fd/0 || true") == "/dev/rbd0"
	})
	do()
	run(s.t, s.vm, "systemctl stop reader")
}

// testKernelLeft stops an instance whose block device somebody uses, which keeps the image claimed, and leaves a device alone that
// cephctl has not made.
func testKernelLeft(s *kernelSite) {
	s.do("instance", "start", "k1.lab")
	s.openDevice(func() {
		r := s.do("instance", "stop", "--timeout", "0s", "k1.lab")
		if !strings.Contains(r.stdout+r.stderr, "is mapped as /dev/rbd0 here, which is in use") {
			s.t.Errorf("stop does not say what it has left: %s%s", r.stdout, r.stderr)
		}
		if info := s.do("instance", "info", "k1.lab").stdout; !strings.Contains(info, "claimed by  the block device of instance k1.lab on node2 ") {
			s.t.Errorf("the block device has no claim:\n%s", info)
		}
		s.refused([]string{"image-claimed"}, "instance", "start", "--node", "node1", "k1.lab")
	})
	s.do("instance", "stop", "k1.lab")
	s.wantFree(kernelImage)

	// Its ceph.conf is elsewhere by the time it stops.
	s.do("instance", "start", "k1.lab")
	run(s.t, s.vm, "cp /etc/ceph/ceph.conf /root/ceph.conf")
	s.do("group", "modify", "-D", "rbd:conf=/root/ceph.conf", "compute")
	s.do("instance", "stop", "--timeout", "0s", "k1.lab")
	s.wantFree(kernelImage)
	expect(s.t, s.vm, "ls /sys/bus/rbd/devices /run/cephctl/rbd | grep -v : || true", "")
	s.do("group", "modify", "-D", "rbd:conf=/etc/ceph/ceph.conf", "compute")

	// As after an agent that was killed while it mapped the image, and had mapped it.
	s.do("instance", "activate-disks", "k1.lab")
	run(s.t, s.vm, "cd /run/cephctl/rbd; echo {} >$(ls); cp -r . /root/killed")
	s.do("instance", "deactivate-disks", "k1.lab")
	s.wantFree(kernelImage)

	// Or had not, before somebody else did.
	run(s.t, s.vm, "cp /root/killed/* /run/cephctl/rbd/; rbd --id instances device map "+kernelQuoted)
	s.refused([]string{"device-foreign"}, "instance", "start", "k1.lab")
	s.refused([]string{"device-foreign"}, "instance", "activate-disks", "k1.lab")
	s.nothingToDo("instance", "stop", "k1.lab")
	run(s.t, s.vm, "rbd device unmap /dev/rbd0")
}

// testKernelDead removes an instance whose node has died: not before the cluster has lost its client, which is kept out.
func testKernelDead(s *kernelSite) {
	s.do("instance", "start", "k1.lab")
	address := s.wantKernel()
	if err := s.vm.Kill(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.refused([]string{"image-claimed"}, "instance", "remove", "k1.lab")
	waitUntil(s.t, "the cluster to forget the client", func() bool {
		return s.cephctl("instance", "remove", "--plan", "--break-claim", "k1.lab").code == 4
	})
	s.refused([]string{"consent"}, "instance", "remove", "--break-claim", "k1.lab")
	s.do("instance", "remove", "--break-claim", "--yes", "k1.lab")
	s.wantFree(kernelImage)
	if list := run(s.t, s.master, "ceph osd blocklist ls 2>/dev/null"); !strings.HasPrefix(list, address+" ") {
		s.t.Errorf("%s is not kept out: %s", address, list)
	}
	if r := s.do("instance", "list"); strings.Contains(r.stdout, "k1.lab") {
		s.t.Errorf("it is still there: %s", r.stdout)
	}
}
