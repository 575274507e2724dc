package nodes

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// guestScript makes a node ready for guests. The definition of an operating system installs nothing. Ganeti has the kernel map
// each image, which that of a container can't: what stands in for it makes a device behind which there is nothing. So nothing
// is proved here of disks that the kernel opens.
const guestScript = `mkdir -p /srv/ganeti/os/noop
cd /srv/ganeti/os/noop
for file in create import export rename verify; do printf '#!/bin/sh\n' >$file; chmod 755 $file; done
echo 20 >ganeti_api_version; echo default >variants.list; : >parameters.list
[ -e /usr/bin/rbd.ceph ] || mv /usr/bin/rbd /usr/bin/rbd.ceph
cat >/usr/bin/rbd <<'END'
#!/bin/sh
mapped=/run/rbd-mapped
mkdir -p $mapped
case $1 in
map)
	n=0
	while [ -e $mapped/$n ]; do n=$((n + 1)); done
	mknod /dev/rbd$n b 7 $((200 + n)) && echo "$3 $4" >$mapped/$n && echo /dev/rbd$n
	;;
unmap) rm -f "$2" $mapped/"${2#/dev/rbd}" ;;
showmapped)
	first=
	printf '['
	for file in $mapped/*; do
		[ -e "$file" ] || continue
		read -r pool image <"$file"
		n=${file##*/}
		printf '%s{"id":"%s","pool":"%s","namespace":"","name":"%s","snap":"-","device":"/dev/rbd%s"}' "$first" $n $pool $image $n
		first=,
	done
	echo ']'
	;;
*) exec /usr/bin/rbd.ceph "$@" ;;
esac
END
chmod 755 /usr/bin/rbd`

// ganetiGuest is the instance of these tests.
const ganetiGuest = "guest1.lab"

// addGuest adds it on node2 with an empty disk.
const addGuest = `gnt-instance add -t rbd -o noop+default --disk 0:size=64M -B maxmem=128,minmem=128 --no-nics \
	--no-name-check --no-ip-check --no-install --no-start -n node2.lab ` + ganetiGuest + " 2>&1"

// testGanetiInstances has Ganeti start an instance on an image, by cephctl, and move it while it writes.
func (s *site) testGanetiInstances(t *testing.T) {
	s.t = t
	s.addGanetiInstance()
	s.testGanetiDiskParams()
	if out := s.do("instance", "start", "--access", "userspace", ganetiGuest).stdout; !strings.Contains(out, "done, process ") {
		t.Errorf("start: %s", out)
	}
	s.nothingToDo("instance", "start", ganetiGuest)
	s.wantGanetiInstance("node2.lab")
	if out := s.do("instance", "list").stdout; !strings.Contains(out, "guest1.lab  node2.lab  running  128M") {
		t.Errorf("list:\n%s", out)
	}
	s.fails(2, "Ganeti does that: gnt-instance remove "+ganetiGuest, "instance", "remove", ganetiGuest)
	s.testMigrations()
	s.do("instance", "stop", "--timeout", "0s", ganetiGuest)
	s.nothingToDo("instance", "stop", ganetiGuest)
	expect(t, s.master, "gnt-instance list --no-headers -o status "+ganetiGuest, "ADMIN_down")
	run(t, s.master, "gnt-instance remove -f "+ganetiGuest+" 2>&1")
	expect(t, s.master, "rbd ls", "")
}

// addGanetiInstance adds an instance on node2 whose image boots a program that writes.
func (s *site) addGanetiInstance() {
	for _, node := range s.List() {
		run(s.t, node, guestScript)
	}
	run(s.t, s.master, addGuest)
	if err := s.master.WriteFile(s.t.Context(), "/root/boot", lab.BootSector(8, true), 0o600); err != nil {
		s.t.Fatal(err)
	}
	run(s.t, s.master, `truncate -s 64M boot; image=$(rbd ls)
		rbd rm --no-progress rbd/$image; rbd import --no-progress boot rbd/$image`)
}

// testGanetiDiskParams changes where disk parameters are Ganeti's, and wants what would harm to be refused.
func (s *site) testGanetiDiskParams() {
	s.do("cluster", "modify", "-D", "rbd:access=kernelspace")
	expect(s.t, s.master, "gnt-cluster info | grep -A 2 '^  rbd:' | tr -d ' \n'", "rbd:access:kernelspacepool:rbd")
	s.refused([]string{"disk-parameter-in-use"}, "cluster", "modify", "-D", "rbd:pool=other")
	s.fails(2, "Ganeti has no disk parameter cache of rbd", "group", "modify", "-D", "rbd:cache=none", "default")
	if r := s.cephctl("instance", "start", "--plan", ganetiGuest); r.code != 3 || !strings.Contains(r.stdout, "[loopback]") {
		s.t.Errorf("a start by the kernel of a node with OSDs of the pool: exit status %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
	plan := s.cephctl("instance", "start", "--plan", "--access", "userspace", ganetiGuest).stdout
	for _, want := range []string{
		`RAPI: PUT /2/groups/default/modify {"diskparams":{"rbd":{"access":"userspace"}}}`, "RAPI: PUT /2/instances/guest1.lab/startup",
	} {
		if !strings.Contains(plan, want) {
			s.t.Errorf("the plan lacks %s:\n%s", want, plan)
		}
	}
}

// wantGanetiInstance wants cephctl to say that the instance runs on a node with its disk open through librbd there.
func (s *site) wantGanetiInstance(node string) {
	s.t.Helper()
	var info struct {
		Node, State string
		Source      string `json:"access_source"`
		Looks       []struct {
			Access, Driver, Path, Open, Mapped string
			Watchers                           []string
		} `json:"disk_states"`
		Warnings []string
	}
	out := s.do("instance", "info", "-o", "json", ganetiGuest).stdout
	if err := json.Unmarshal([]byte(out), &info); err != nil || len(info.Looks) != 1 {
		s.t.Fatalf("info: %v\n%s", err, out)
	}
	address := s.Node(strings.TrimSuffix(node, ".lab")).Address
	disk := info.Looks[0]
	if info.Node != node || info.State != "running" || info.Source != "group" || disk.Access != "userspace" || disk.Driver != "rbd" ||
		!strings.HasPrefix(disk.Open, "rbd:rbd/") || disk.Open != disk.Path || !strings.HasPrefix(disk.Mapped, "/dev/rbd") ||
		len(disk.Watchers) != 1 || !strings.HasPrefix(disk.Watchers[0], address+":") ||
		len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "lets the kernel map the image also with access=userspace") {
		s.t.Errorf("info: %s", out)
	}
}

// testMigrations moves the instance while the exporters of all nodes are scraped each second: it goes on writing, its series
// follow it, and no scrape is in Ganeti's way.
func (s *site) testMigrations() {
	count := 4
	if os.Getenv("TEST_LONG") != "" {
		count = 20
	}
	for _, node := range s.List() {
		s.installExporter(node)
	}
	s.wantGuestOn("node2")
	end := s.scrapeAll()
	defer end()
	for n := range count {
		to := []string{"node3", "node1", "node2"}[n%3]
		start := time.Now()
		run(s.t, s.master, "gnt-instance migrate -f -n "+to+".lab "+ganetiGuest+" 2>&1")
		s.t.Logf("migration %d, to %s, took %.1f s", n+1, to, time.Since(start).Seconds())
		s.wantGuestOn(to)
	}
	end()
	s.wantGanetiInstance([]string{"node2.lab", "node3.lab", "node1.lab"}[count%3])
	for _, node := range s.List() {
		expect(s.t, node, "grep -ic 'resource temporarily unavailable' /var/log/ganeti/node-daemon.log || true", "0")
		run(s.t, node, "systemctl stop ceph-ganeti-exporter")
	}
}

// scrapeAll scrapes the exporters of all nodes each second until the function that it returns is called. Each has to answer.
func (s *site) scrapeAll() (end func()) {
	stop := make(chan struct{})
	var all sync.WaitGroup
	var once sync.Once
	for _, node := range s.List() {
		all.Go(func() {
			scrapes := 0
			for ticks := time.Tick(time.Second); ; {
				select {
				case <-stop:
					s.t.Logf("%s was scraped %d times", node.Name, scrapes)
					return
				case <-ticks:
				}
				if scrapes++; s.get("http://"+node.Address+":19283/metrics") == "" {
					s.t.Errorf("%s does not answer a scrape", node.Name)
				}
			}
		})
	}
	return func() {
		once.Do(func() { close(stop) })
		all.Wait()
	}
}

// wantGuestOn waits until the exporter of a node, and no other, shows the guest, which writes to its image.
func (s *site) wantGuestOn(name string) {
	s.t.Helper()
	const writes = `qemu_disk_write_operations_total{ganeti_instance="` + ganetiGuest + `",disk="0"} `
	var last string
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		shown := map[string]string{}
		for _, node := range s.List() {
			if page := s.get("http://" + node.Address + ":19283/metrics"); strings.Contains(page, `ganeti_instance="`+ganetiGuest+`"`) {
				shown[node.Name] = page
			}
		}
		page := shown[name]
		last = fmt.Sprintf("%d nodes show it; %q", len(shown), slices.Collect(lines(page, "qemu_disk_info{", "qemu_status{", "cephctl_node_info{", "ganeti_node_info{", writes)))
		if len(shown) == 1 && strings.Contains(page, `qemu_status{ganeti_instance="`+ganetiGuest+`",status="running"} 1`) &&
			strings.Contains(page, `",access="userspace",driver="rbd",cache="`) && strings.Contains(page, `,pool="rbd",image="`) &&
			strings.Contains(page, `,node="`+name+`.lab",group="default",`) &&
			strings.Contains(page, `ganeti_node_info{cluster="cluster.lab",node="`+name+`.lab",group="default",release="`) &&
			strings.Contains(page, writes) && !strings.Contains(page, writes+"0\n") {
			return
		}
	}
	s.t.Fatalf("the guest is not on %s alone, or writes nothing there: %s", name, last)
}

// lines are those of a page that have one of these words.
func lines(page string, words ...string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(page) {
			if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) && !yield(line) {
				return
			}
		}
	}
}
