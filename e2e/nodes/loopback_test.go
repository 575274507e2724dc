package nodes

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/rules"
)

// hurry is by how much "for" of the shipped rules is divided here: what fires after 15 minutes does so after 9 seconds.
// Nothing else of the rules is changed.
const hurry = 100

// TestLoopbackKernel has a real kernel map real images on a node whose OSD serves them, and wants the exporter to judge each
// use, Prometheus and Alertmanager to send the shipped alerts for it, and cephctl to say the same. It runs beside no other
// test: the emulated CPUs would starve them.
func TestLoopbackKernel(t *testing.T) {
	lab.RequireVM(t)
	lab.Require(t, "prometheus", "prometheus-alertmanager", "rbd-nbd")
	k := newLoopbackSite(t)
	k.wantsNone("no mapping")
	k.use()
	all := k.standings()
	k.wants("every use", all)
	k.wantCheck(all, 14) // swap
	k.endSwap(all)
	k.stuck(all)
	k.flatten(all)
	k.pressure(all)
	k.unmap()
	k.wantsNone("unmapped")
}

// loopbackSite is a cluster with an OSD in a virtual machine, whose exporter Prometheus watches.
type loopbackSite struct {
	*site
	vm           *lab.Node
	prometheus   *lab.Prometheus
	alertmanager *lab.Alertmanager
	// devices are the mapped images by what they are for.
	devices map[string]string
}

// newLoopbackSite starts two containers with all other daemons, and a virtual machine with an OSD. It makes the pools near,
// which is on that OSD alone, and far, which is not on it.
func newLoopbackSite(t *testing.T) *loopbackSite {
	t.Helper()
	k := &loopbackSite{site: newSite(t, 2, 1), devices: map[string]string{}}
	containers := k.List()
	var vm errgroup.Group
	vm.Go(func() (err error) {
		k.vm, err = k.addVM("node3", lab.VM{MemoryMiB: 1280})
		return err
	})
	k.do("cluster", "init", "--name", "lab", "-S", "ceph:mons=1,size=1,min_size=1,osd_backend=raw,osd_memory_target=896M,host_reserve=128M")
	for _, node := range containers {
		k.do("node", "add", "--address", node.Address, "-S", "ceph:disk="+k.disks[node.Name][0], node.Name)
	}
	k.do("storage", "init-distributed-storage", "-s", "ceph", "default")
	if err := vm.Wait(); err != nil {
		t.Fatal(err)
	}
	k.addDisks(k.vm, 1)
	k.do("node", "add", "--address", k.vm.Address, "-S", "ceph:disk="+k.disks[k.vm.Name][0], k.vm.Name)
	k.do("pool", "create", "--on-nodes", "node3", "near")
	k.do("pool", "create", "--on-nodes", "node1", "far")
	k.makeImages()
	k.watch()
	return k
}

// makeImages makes an image for each use. The kernel knows no more features than these.
func (k *loopbackSite) makeImages() {
	k.t.Helper()
	run(k.t, k.master, `rbd namespace create near/tenant
for image in near/idle near/guest near/direct near/cached near/files near/volume near/swap near/tenant/direct far/files; do
	rbd create --size 64M --image-feature layering $image
done
rbd create --size 64M near/nbd
rbd create --size 64M --image-feature layering --data-pool far near/data
rbd create --size 64M --image-feature layering near/base
rbd snap create --no-progress near/base@v1
rbd snap protect near/base@v1
rbd clone --image-feature layering near/base@v1 far/clone`)
}

// watch starts the exporter in the virtual machine, allowed to look who has devices open, and those who watch it.
func (k *loopbackSite) watch() {
	t := k.t
	t.Helper()
	if err := k.vm.CopyFile(t.Context(), "../../packaging/look.conf", "/etc/systemd/system/ceph-ganeti-exporter.service.d/look.conf", 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, k.vm, "modprobe -a rbd nbd; mount -t debugfs debugfs /sys/kernel/debug")
	k.installNBD()
	k.installExporter(k.vm)
	var err error
	config := "route: {receiver: nobody, group_by: [alertname]}\nreceivers: [{name: nobody}]\n"
	if k.alertmanager, err = lab.StartAlertmanager(t.Context(), config+ruleFile(t, "alertmanager.yml.example")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.alertmanager.Stop() })
	k.prometheus, err = lab.StartPrometheus(t.Context(), lab.PrometheusOptions{
		Files: map[string][]byte{"loopback.yml": []byte(hurried(t, ruleFile(t, "loopback.yml")))},
		Config: fmt.Sprintf(`global: {scrape_interval: 8s, scrape_timeout: 8s, evaluation_interval: 1s}
rule_files: [loopback.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ["%s"]}]}]}
scrape_configs:
  - {job_name: ceph, honor_labels: true, params: {"collect[]": [loopback, krbd]}, static_configs: [{targets: ["%s:19283"]}]}
`, k.alertmanager.Address, k.vm.Address),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.prometheus.Stop() })
}

// installNBD copies rbd-nbd into the virtual machine, with the library that only it needs.
func (k *loopbackSite) installNBD() {
	t := k.t
	t.Helper()
	program, err := exec.LookPath("rbd-nbd")
	if err != nil {
		t.Fatal(err)
	}
	needs, err := exec.CommandContext(t.Context(), "ldd", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	library := regexp.MustCompile(`libnl-genl-3\S* => (\S+)`).FindSubmatch(needs)
	if library == nil {
		t.Fatalf("rbd-nbd needs %s", needs)
	}
	for source, path := range map[string]string{program: "/usr/bin/rbd-nbd", string(library[1]): "/usr" + strings.TrimPrefix(string(library[1]), "/usr")} {
		if err := k.vm.CopyFile(t.Context(), source, path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// ruleFile returns a file that ships with the exporter.
func ruleFile(t *testing.T, name string) string {
	t.Helper()
	content, err := rules.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// hurried divides every "for" of rules.
func hurried(t *testing.T, text string) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^( *for: )(\S+)$`).ReplaceAllStringFunc(text, func(line string) string {
		key, value, _ := strings.Cut(line, ": ")
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s: %dms", key, (d / hurry).Milliseconds())
	})
}

// use uses each image in its way. Who writes holds it open and has nothing under way: no file system is made ready behind
// its mount.
func (k *loopbackSite) use() {
	t := k.t
	t.Helper()
	k.mapImages()
	script := `
hold() { (dd if=/dev/zero bs=64k count=4; exec sleep 9999) 2>/dev/null | setsid dd bs=64k iflag=fullblock of=/dev/"$@" >/dev/null 2>&1 & }
hold $direct oflag=direct
hold $tenant oflag=direct
hold $cached
mounts=
for use in files far nbd; do
	(eval device=\$$use
	mkfs.ext4 -q /dev/$device
	mkdir -p /srv/$use
	mount -o noinit_itable /dev/$device /srv/$use) &
	mounts="$mounts $!"
done
vgcreate -q lab /dev/$volume
lvcreate -q -n volume -l 100%FREE lab
mkfs.ext4 -q /dev/lab/volume
mkdir /srv/volume
mount -o noinit_itable /dev/lab/volume /srv/volume
parted -s /dev/$swap mklabel gpt mkpart data 1MiB 16MiB mkpart swap 16MiB 60MiB
udevadm settle
mkswap /dev/${swap}p2
swapon /dev/${swap}p2
setsid qemu-system-x86_64 -nodefaults -display none -S -m 16 -accel tcg -daemonize -pidfile /run/guest.pid \
	-drive if=none,id=d,format=raw,file=rbd:near/guest:id=instances -device virtio-blk-pci,drive=d
for pid in $mounts; do wait $pid; done`
	run(t, k.vm, k.names()+script)
}

// mapImages maps the images, all at once: each rbd takes seconds to start.
func (k *loopbackSite) mapImages() {
	k.t.Helper()
	uses := map[string]string{
		"idle": "near/idle", "guest": "near/guest", "direct": "near/direct", "cached": "near/cached", "files": "near/files",
		"volume": "near/volume", "swap": "near/swap", "tenant": "near/tenant/direct", "far": "far/files", "data": "near/data", "clone": "far/clone",
	}
	script := "echo nbd $(rbd-nbd --id instances map near/nbd 2>/dev/null) &\n"
	for use, image := range uses {
		script += fmt.Sprintf("echo %s $(rbd --id instances map %s) &\n", use, image)
	}
	out := run(k.t, k.vm, script+"wait")
	for line := range strings.Lines(out) {
		use, device, _ := strings.Cut(strings.TrimSpace(line), " /dev/")
		k.devices[use] = device
	}
	if len(k.devices) != len(uses)+1 || slices.Contains(slices.Collect(maps.Values(k.devices)), "") {
		k.t.Fatalf("mapped: %s", out)
	}
}

// names returns a shell's assignments of the devices to what they are for.
func (k *loopbackSite) names() string {
	var script strings.Builder
	for use, device := range k.devices {
		fmt.Fprintf(&script, "%s=%s\n", use, device)
	}
	return script.String()
}

// standing is how an image is judged, and the alerts for it that are sent, and those that a worse one keeps back.
type standing struct {
	Level, Reason string
	Sent, Silent  []string
}

// unknown is the level of an image of which it is not known.
const unknown = "unknown"

func (k *loopbackSite) standings() map[string]standing {
	info := []string{"LoopbackInfo"}
	warning := standing{Level: "3", Reason: "filesystem", Sent: []string{"LoopbackWarning"}}
	all := map[string]standing{
		"idle":   {Level: "1", Reason: "idle", Sent: info},
		"guest":  {Level: "1", Reason: "idle", Sent: info}, // QEMU opens the image itself
		"direct": {Level: "2", Reason: "direct", Sent: info},
		"tenant": {Level: "2", Reason: "direct", Sent: info},
		"cached": {Level: "3", Reason: "page_cache", Sent: warning.Sent},
		"files":  warning, "volume": warning, "nbd": warning,
		"swap":  {Level: "4", Reason: "swap", Sent: []string{"LoopbackCritical"}, Silent: []string{"LoopbackWarning"}},
		"far":   {Level: "0", Reason: "filesystem"},
		"data":  {Level: "0", Reason: "idle"},             // the kernel does not say in which pool it has its data
		"clone": {Level: "1", Reason: "idle", Sent: info}, // its parent is in the pool that the OSD has
	}
	return all
}

// wants waits until every mapped image stands as wanted, and no other does.
func (k *loopbackSite) wants(step string, want map[string]standing) {
	k.t.Helper()
	start := time.Now()
	diff := ""
	for time.Since(start) < 5*time.Minute {
		if diff = cmp.Diff(k.byDevice(want), k.stand(), cmp.Comparer(sameAlerts)); diff == "" {
			k.t.Logf("%s: right after %s", step, time.Since(start).Round(time.Second/10))
			return
		}
		time.Sleep(300 * time.Millisecond)
	}
	k.t.Fatalf("%s (-want +got):\n%s\n%s", step, diff, run(k.t, k.vm, `cat /sys/kernel/debug/ceph/*/osdc /proc/pressure/memory; free -m
journalctl -u ceph-ganeti-exporter -n 20 --no-pager`))
}

// wantsNone waits until nothing is mapped, and wants no level and no alert, and the exporter well.
func (k *loopbackSite) wantsNone(step string) {
	k.t.Helper()
	waitUntil(k.t, step, func() bool {
		return len(k.query("loopback_mappings == 0")) == 2 &&
			len(k.query("ceph_ganeti_exporter_collector_success == 1")) == 2
	})
	k.wants(step, nil)
}

func sameAlerts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (k *loopbackSite) byDevice(uses map[string]standing) map[string]standing {
	devices := map[string]standing{}
	for use, s := range uses {
		devices[k.devices[use]] = s
	}
	return devices
}

// stand returns how devices stand in Prometheus, and in Alertmanager.
func (k *loopbackSite) stand() map[string]standing {
	k.t.Helper()
	devices := map[string]standing{}
	for _, s := range k.query("loopback_level_known == 0") {
		devices[s.Labels["device"]] = standing{Level: unknown}
	}
	for _, s := range k.query("loopback_level") {
		devices[s.Labels["device"]] = standing{Level: s.Value, Reason: s.Labels["reason"]}
	}
	alerts, err := k.alertmanager.Alerts(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, a := range alerts {
		device := a.Labels["device"]
		s := devices[device]
		if a.Inhibited {
			s.Silent = append(s.Silent, a.Labels["alertname"])
		} else {
			s.Sent = append(s.Sent, a.Labels["alertname"])
		}
		devices[device] = s
	}
	return devices
}

func (k *loopbackSite) query(expr string) []lab.Sample {
	k.t.Helper()
	samples, err := k.prometheus.Query(k.t.Context(), expr)
	if err != nil {
		k.t.Fatal(err)
	}
	return samples
}

// wantCheck wants cephctl to judge the node in the same way, and to exit so.
func (k *loopbackSite) wantCheck(uses map[string]standing, code int) {
	k.t.Helper()
	r := k.cephctl("loopback", "check", "--node", "node3", "-o", "json")
	var reports []struct {
		Images []struct {
			Device  string `json:"device"`
			Verdict struct {
				Level  int    `json:"level"`
				Known  bool   `json:"known"`
				Reason string `json:"reason"`
			} `json:"verdict"`
		} `json:"images"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &reports); err != nil || len(reports) != 1 {
		k.t.Fatalf("check: %v\n%s%s", err, r.stdout, r.stderr)
	}
	got := map[string]standing{}
	for _, i := range reports[0].Images {
		s := standing{Level: fmt.Sprint(i.Verdict.Level), Reason: i.Verdict.Reason}
		if !i.Verdict.Known {
			s.Level = unknown
		}
		got[i.Device] = s
	}
	want := k.byDevice(uses)
	for device, s := range want {
		want[device] = standing{Level: s.Level, Reason: s.Reason}
	}
	if diff := cmp.Diff(want, got); diff != "" || r.code != code {
		k.t.Errorf("check: exit status %d, want %d (-want +got):\n%s", r.code, code, diff)
	}
}

// endSwap ends what would make the virtual machine hang in the steps to come.
func (k *loopbackSite) endSwap(all map[string]standing) {
	k.t.Helper()
	run(k.t, k.vm, "swapoff -a")
	all["swap"] = all["idle"]
	k.wants("swap is over", all)
	k.wantCheck(all, 13)
}

// pressure makes memory short: a process takes more than its control group may have, again and again.
func (k *loopbackSite) pressure(all map[string]standing) {
	k.t.Helper()
	run(k.t, k.vm, `systemd-run --quiet --unit=hog -p MemoryHigh=32M -p MemorySwapMax=0 \
	python3 -c 'hold = [bytearray(1 << 20) for _ in range(96)]
while True: hold.append(bytearray(4096))'`)
	short := map[string]standing{}
	for use, s := range all {
		if s.Level == "3" {
			s = standing{Level: "4", Reason: s.Reason, Sent: []string{"LoopbackCritical"}, Silent: []string{"LoopbackWarning"}}
		}
		short[use] = s
	}
	k.wants("memory is short", short)
	run(k.t, k.vm, "systemctl stop hog")
}

// stuck stops the OSD while it is written to, until the requests of the writers count as stuck. The cluster marks it
// down meanwhile, so that these requests have no OSD any more.
func (k *loopbackSite) stuck(all map[string]standing) {
	k.t.Helper()
	run(k.t, k.vm, k.names()+`
sync
pkill -STOP -x ceph-osd
(setsid dd if=/dev/zero of=/srv/files/file bs=1M count=16 conv=fsync >/dev/null 2>&1 &)
(setsid dd if=/dev/zero of=/dev/$tenant bs=64k count=16 oflag=direct >/dev/null 2>&1 &)`)
	down := fmt.Sprintf("ceph osd down %s", run(k.t, k.master, "ceph osd ls-tree node3"))
	waitUntil(k.t, "the exporter to see requests under way", func() bool {
		return len(k.query(`loopback_requests_in_flight{scope="local_osds"} > 0`)) == 2
	})
	run(k.t, k.master, down)
	hangs := map[string]standing{}
	for use, s := range all {
		hangs[use] = s
	}
	for _, use := range []string{"files", "tenant"} {
		hangs[use] = standing{Level: "4", Reason: all[use].Reason, Sent: []string{"LoopbackCritical", "LoopbackStuck"}, Silent: []string{"LoopbackWarning"}}
	}
	k.wants("an OSD hangs", hangs)
	run(k.t, k.vm, "pkill -CONT -x ceph-osd")
	k.wants("it goes on", all)
}

// flatten ends what the clone reads from the pool of its parent, while it is mapped.
func (k *loopbackSite) flatten(all map[string]standing) {
	k.t.Helper()
	pools := k.query(`loopback_local_pool_info{pool="far"}`)
	if len(pools) != 1 || pools[0].Labels["device"] != k.devices["clone"] || pools[0].Labels["local_pool"] != "near" {
		k.t.Errorf("pools of images in far: %+v, want near, of the clone", pools)
	}
	run(k.t, k.master, "rbd flatten --no-progress far/clone")
	all["clone"] = standing{Level: "0", Reason: "idle"}
	k.wants("the clone is flattened", all)
}

// unmap ends all uses and unmaps everything, while the exporter is scraped.
func (k *loopbackSite) unmap() {
	k.t.Helper()
	run(k.t, k.vm, k.names()+`pkill -x sleep || true
kill $(cat /run/guest.pid)
while pgrep -x dd; do sleep 0.1; done >/dev/null
umount /srv/*
vgchange -q -a n lab
rbd-nbd unmap /dev/$nbd
for device in /dev/rbd[0-9] /dev/rbd[0-9][0-9]; do
	[ ! -b $device ] || rbd unmap $device &
done
wait`)
}
