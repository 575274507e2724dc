package nodes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// testExporter runs the exporter by its unit on a node that cephctl has made, with the key that cephctl has put there. It
// sees the node's daemons, the cluster, and what cephctl says of the node.
func testExporter(s *site) {
	node, t := s.master, s.t
	s.installExporter(node)
	for _, when := range []string{"started", "reloaded"} {
		s.awaitMetrics("http://"+node.Address+":19283/metrics", when,
			`ceph_daemon_socket_up{ceph_daemon="mon.node1"`, "\nceph_health_status 0\n", `ceph_osd_up{ceph_daemon="osd.0"} 1`,
			`cephctl_node_info{cluster="lab",node="node1",group="default",storage="ceph"`, `cephctl_node_role{node="node1",role="mon"} 1`)
		run(t, node, "systemctl reload ceph-ganeti-exporter; sleep 1; systemctl is-active ceph-ganeti-exporter")
	}
	report := s.get("http://" + node.Address + ":19283/1/report/storage/ceph")
	for _, want := range []string{`"data":{"status":{"code":0,`, `"health":"HEALTH_OK"`, `{"name":"mon.node1","up":true}`} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %s:\n%s", want, report)
		}
	}
	testLook(s)
	run(t, node, "systemctl stop ceph-ganeti-exporter; ! systemctl is-failed ceph-ganeti-exporter")
}

// mapScript makes a mapped image of text that was written to, below /srv/sys, and a process of root's that has it open.
const mapScript = `
device=/srv/sys/devices/rbd/0
mkdir -p $device/block/rbd0/holders /srv/sys/bus/rbd/devices /srv/sys/block
ln -s ../../../devices/rbd/0 /srv/sys/bus/rbd/devices/0
ln -s ../devices/rbd/0/block/rbd0 /srv/sys/block/rbd0
put() { echo "$2" >$device/$1; }
put pool rbd; put pool_id $(ceph osd pool ls detail -f json | sed 's/.*"pool_id":\([0-9]*\),"pool_name":"rbd".*/\1/'); put pool_ns ""
put name known; put image_id 10a6; put current_snap -; put size 16777216; put features 0x3d; put client_id client1
put cluster_fsid $(ceph fsid)
put block/rbd0/stat "1 0 8 1 5 0 40 1 0 1 1"; put block/rbd0/inflight "0 0"; put block/rbd0/ro 0; put block/rbd0/dev 252:0
touch /dev/rbd0
systemd-run --quiet --unit=writes sh -c 'exec sleep 9999 >>/dev/rbd0'
echo 'path: {sysfs: /srv/sys}' >/etc/ceph-ganeti-exporter.yml
systemctl restart ceph-ganeti-exporter`

// testLook has a process write to a mapped image. The exporter cannot tell who it is, and says so, until the drop-in that
// ships with it lets it look.
func testLook(s *site) {
	node, t := s.master, s.t
	url := "http://" + node.Address + ":19283/metrics?collect[]=loopback"
	run(t, node, mapScript)
	s.awaitMetrics(url, "without the right to look", `loopback_level_known{device="rbd0",pool="rbd",image="known"} 0`,
		`loopback_source_known{source="processes"} 0`, `loopback_local_osds{device="rbd0",pool="rbd",image="known"} 1`)
	if err := node.CopyFile(t.Context(), "../../packaging/look.conf", "/etc/systemd/system/ceph-ganeti-exporter.service.d/look.conf", 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, node, "systemctl daemon-reload; systemctl restart ceph-ganeti-exporter")
	s.awaitMetrics(url, "with it", `loopback_level_known{device="rbd0",pool="rbd",image="known"} 1`,
		`loopback_level{device="rbd0",pool="rbd",image="known",reason="page_cache"} `, `loopback_source_known{source="processes"} 1`)
	run(t, node, "systemctl stop writes; rm -r /dev/rbd0 /srv/sys /etc/systemd/system/ceph-ganeti-exporter.service.d; echo >/etc/ceph-ganeti-exporter.yml; systemctl daemon-reload")
}

// installExporter installs the exporter with its unit on a node, and starts it.
func (s *site) installExporter(node *lab.Node) {
	s.t.Helper()
	t := s.t
	unit, err := os.ReadFile("../../packaging/ceph-ganeti-exporter.service")
	if err != nil {
		t.Fatal(err)
	}
	if err := node.CopyFile(t.Context(), buildExporter(t), "/usr/local/bin/ceph-ganeti-exporter", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := node.WriteFile(t.Context(), "/etc/systemd/system/ceph-ganeti-exporter.service", unit, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, node, "touch /etc/ceph-ganeti-exporter.yml; systemctl daemon-reload; systemctl start ceph-ganeti-exporter")
}

// buildExporter builds the exporter, or takes the binary that TEST_EXPORTER names.
func buildExporter(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TEST_EXPORTER"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "ceph-ganeti-exporter")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/ceph-ganeti-exporter")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the exporter: %v: %s", err, out)
	}
	return path
}

// awaitMetrics scrapes until the exporter gives all that is wanted and every target is well. It gives the cluster's state
// when it has connected and this node's mon leads, which that does as the first in the map.
func (s *site) awaitMetrics(url, when string, want ...string) {
	s.t.Helper()
	var lacks []string
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		metrics := s.get(url)
		lacks = nil
		for _, w := range want {
			if !strings.Contains(metrics, w) {
				lacks = append(lacks, "no "+w)
			}
		}
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "ceph_ganeti_exporter_target_up") && strings.HasSuffix(line, " 0\n") {
				lacks = append(lacks, line)
			}
		}
		if len(lacks) == 0 {
			return
		}
	}
	s.t.Fatalf("%s, the exporter gives %q\n%s", when, lacks, run(s.t, s.master, "journalctl -u ceph-ganeti-exporter -n 20 --no-pager"))
}
