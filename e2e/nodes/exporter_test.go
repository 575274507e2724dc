package nodes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	run(t, node, "systemctl stop ceph-ganeti-exporter; ! systemctl is-failed ceph-ganeti-exporter")
}

// installExporter installs the exporter with its unit on a node, and starts it.
func (s *site) installExporter(node *lab.Node) {
	s.t.Helper()
	t := s.t
	binary := os.Getenv("TEST_EXPORTER")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "ceph-ganeti-exporter")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/ceph-ganeti-exporter")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the exporter: %v: %s", err, out)
		}
	}
	unit, err := os.ReadFile("../../packaging/ceph-ganeti-exporter.service")
	if err != nil {
		t.Fatal(err)
	}
	if err := node.CopyFile(t.Context(), binary, "/usr/local/bin/ceph-ganeti-exporter", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := node.WriteFile(t.Context(), "/etc/systemd/system/ceph-ganeti-exporter.service", unit, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, node, "touch /etc/ceph-ganeti-exporter.yml; systemctl daemon-reload; systemctl start ceph-ganeti-exporter")
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
