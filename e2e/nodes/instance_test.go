package nodes

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// testInstance starts an instance from the master on the node that it belongs to, which has a key for the images of one pool
// and no other.
func testInstance(s *site) {
	testInstanceRefused(s)
	node := s.Node("node2")
	s.importBoot("rbd/guest1", 8, true)
	wantNone := s.watchArguments()
	s.do("instance", "add", "--node", "node2", "--memory", "32M", "--disk", "image=guest1", "--disk", "size=16M", "guest1.lab")
	s.do("instance", "start", "guest1.lab")
	s.nothingToDo("instance", "start", "guest1.lab")
	wantNone()
	info := s.do("instance", "info", "guest1.lab").stdout
	for _, want := range []string{"node            node2\n", "state           running\n", "access      userspace (default)\n", "path        rbd:rbd/guest1\n", "claimed by  instance guest1.lab on node2 "} {
		if !strings.Contains(info, want) {
			s.t.Errorf("instance info lacks %q:\n%s", want, info)
		}
	}
	expect(s.t, node, "ls /run/cephctl/kvm/pid /etc/ceph/*admin* 2>/dev/null || true", "/run/cephctl/kvm/pid:\nguest1.lab")
	testInstanceMetrics(s, node)
	s.refused([]string{"instance-running"}, "instance", "start", "--node", "node3", "guest1.lab")
	testRival(s)
	testFailover(s)
	s.do("instance", "stop", "--timeout", "1s", "guest1.lab")
	s.do("instance", "remove", "--images", "--yes", "guest1.lab")
	run(s.t, s.master, "rbd rm --no-progress rbd/guest1")
}

// testInstanceRefused starts an instance where QEMU was taken off, the image and then the pool are gone. All that is missing is
// told, and nothing is left of it.
func testInstanceRefused(s *site) {
	node := s.Node("node2")
	s.do("pool", "create", "--size", "2", "gone")
	s.do("group", "modify", "-D", "rbd:pool=gone", "default")
	s.do("instance", "add", "--node", "node2", "--memory", "32M", "--disk", "size=8M,image=gone1", "gone.lab")
	run(s.t, s.master, "rbd rm --no-progress gone/gone1")
	start := []string{"instance", "start", "gone.lab"}
	run(s.t, node, "mv /usr/bin/qemu-system-x86_64 /root/")
	s.refused([]string{"qemu-missing", "disk-no-image"}, start...)
	run(s.t, node, "mv /root/qemu-system-x86_64 /usr/bin/")
	s.do("pool", "remove", "--yes", "gone")
	s.refused([]string{"disk-no-pool"}, start...)
	s.refused([]string{"disk-no-pool"}, "instance", "add", "--node", "node2", "--memory", "32M", "--disk", "size=8M", "never.lab")
	expect(s.t, node, "pgrep qemu || true; find /run/cephctl -path '*/lock' -prune -o -name '*.lab*' -print; rbd --id instances ls rbd | grep disk0 || true", "")
	s.do("instance", "remove", "gone.lab")
	s.do("group", "modify", "-D", "rbd:pool=", "default")
}

// testInstanceMetrics wants the exporter to show the instance, with no configuration.
func testInstanceMetrics(s *site, node *lab.Node) {
	s.installExporter(node)
	defer run(s.t, node, "systemctl stop ceph-ganeti-exporter")
	var last string
	for range 300 {
		last = s.get("http://" + node.Address + ":19283/metrics")
		if strings.Contains(last, `qemu_disk_librbd_write_bytes_total{ganeti_instance="guest1.lab",disk="0"}`) {
			break
		}
		time.Sleep(time.Second)
	}
	for _, want := range []string{
		`qemu_up{ganeti_instance="guest1.lab"} 1`, `qemu_disk_write_bytes_total{ganeti_instance="guest1.lab",disk="0"}`,
		`qemu_disk_librbd_write_bytes_total{ganeti_instance="guest1.lab",disk="0"}`,
		`access="userspace",driver="rbd",cache="writethrough",pool="rbd",image="guest1"} 1`,
	} {
		if !strings.Contains(last, want) {
			s.t.Errorf("the exporter lacks %s", want)
		}
	}
}

// get reads a page, or returns nothing while nobody serves it.
func (s *site) get(url string) string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// testRival has another master that knows the same nodes, and an instance of its with the same image on another of them.
func testRival(s *site) {
	rival := func(args ...string) result {
		return s.cephctl(append([]string{"--state-dir", "/root/rival"}, args...)...)
	}
	for _, node := range s.List() {
		rival("node", "add", "--address", node.Address, node.Name)
	}
	if r := rival("instance", "add", "--node", "node3", "--memory", "32M", "--disk", "image=guest1", "rival.lab"); r.code != 0 {
		s.t.Fatalf("add: %s%s", r.stdout, r.stderr)
	}
	for _, args := range [][]string{{"instance", "start", "rival.lab"}, {"instance", "start", "--break-claim", "--yes", "rival.lab"}} {
		if r := rival(args...); r.code != 3 || !strings.Contains(r.stderr, "claimed by instance guest1.lab on node2") {
			s.t.Errorf("start of what runs elsewhere: exit status %d: %s", r.code, r.stderr)
		}
	}
	s.do("instance", "stop", "--timeout", "1s", "guest1.lab")
	for range 3 {
		results := make([]result, 2)
		var all sync.WaitGroup
		all.Go(func() { results[0] = s.cephctl("instance", "start", "guest1.lab") })
		all.Go(func() { results[1] = rival("instance", "start", "rival.lab") })
		all.Wait()
		if (results[0].code == 0) == (results[1].code == 0) {
			s.t.Fatalf("both or none have started: %+v", results)
		}
		running := run(s.t, s.Node("node2"), "pgrep -c qemu || true") + run(s.t, s.Node("node3"), "pgrep -c qemu || true")
		if running != "10" && running != "01" {
			s.t.Errorf("QEMUs on the two nodes: %s", running)
		}
		s.do("instance", "stop", "--timeout", "0s", "guest1.lab")
		if r := rival("instance", "stop", "--timeout", "0s", "rival.lab"); r.code != 0 {
			s.t.Errorf("stop: %s", r.stderr)
		}
	}
	rival("instance", "remove", "rival.lab")
	s.do("instance", "start", "guest1.lab")
}

// testFailover cuts the node of a running instance off and starts it on another: the client of the first is kept out
// before, so that it writes nothing any more when its node is back.
func testFailover(s *site) {
	node := s.Node("node2")
	if err := node.CutNetwork(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.refused([]string{"image-claimed", "image-claimed"}, "instance", "start", "--node", "node3", "guest1.lab")
	waitUntil(s.t, "the cluster to forget the clients", func() bool {
		return s.cephctl("instance", "start", "--plan", "--node", "node3", "--break-claim", "guest1.lab").code == 4
	})
	s.refused([]string{"consent"}, "instance", "start", "--node", "node3", "--break-claim", "guest1.lab")
	s.do("instance", "start", "--node", "node3", "--break-claim", "--yes", "guest1.lab")
	var info struct {
		Node  string `json:"node"`
		State string `json:"state"`
	}
	if err := json.Unmarshal([]byte(s.do("instance", "info", "-o", "json", "guest1.lab").stdout), &info); err != nil || info.Node != "node3" || info.State != "running" {
		s.t.Errorf("info %+v, %v", info, err)
	}
	if err := node.RestoreNetwork(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.wantCluster(3, 3)
	// What is left of it there has lost its disk for good.
	expect(s.t, s.master, "rbd status --format json rbd/guest1 | grep -o '\"address\":\"[^:]*' | sort -u", `"address":"`+s.Node("node3").Address)
	s.do("instance", "stop", "--timeout", "0s", "--node", "node2", "guest1.lab")
	expect(s.t, node, "pgrep qemu || true; ls /run/cephctl/kvm/pid", "")
	if r := s.do("instance", "info", "guest1.lab"); !strings.Contains(r.stdout, "state           running\n") || strings.Contains(r.stdout, "problem") {
		s.t.Errorf("it has ended elsewhere, too:\n%s", r.stdout)
	}
}
