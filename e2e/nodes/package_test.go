package nodes

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// testPackages installs both programs by their Debian packages on a node that has neither a compiler nor headers, installs them
// again over a changed configuration, and removes them.
func testPackages(s *site) {
	t, node := s.t, s.master
	run(t, node, "rm /etc/systemd/system/ceph-ganeti-exporter.service /usr/local/bin/ceph-ganeti-exporter /etc/ceph-ganeti-exporter.yml; systemctl daemon-reload")
	folder := t.TempDir()
	for name, binary := range map[string]string{"ceph-ganeti-exporter": buildExporter(t), "cephctl": buildCephctl(t)} {
		if err := node.CopyFile(t.Context(), makePackage(t, folder, name, binary), "/root/"+name+".deb", 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const (
		unit  = "ceph-ganeti-exporter"
		state = "systemctl is-enabled " + unit + " || true; systemctl is-active " + unit + " || true"
	)
	run(t, node, "dpkg -i /root/ceph-ganeti-exporter.deb /root/cephctl.deb")
	expect(t, node, state, "disabled\ninactive")
	run(t, node, "systemctl enable --now "+unit)
	s.awaitMetrics("http://"+node.Address+":19283/metrics", "from the package", `ceph_daemon_socket_up{ceph_daemon="mon.node1"`, "\nceph_health_status 0\n")
	before := run(t, node, "systemctl show -P MainPID "+unit)
	run(t, node, "echo 'log: {level: warn}' >/etc/ceph-ganeti-exporter.yml; dpkg -i /root/ceph-ganeti-exporter.deb")
	expect(t, node, state+"; cat /etc/ceph-ganeti-exporter.yml", "enabled\nactive\nlog: {level: warn}")
	if after := run(t, node, "systemctl show -P MainPID "+unit); after == before {
		t.Errorf("what was installed is not what runs: process %s goes on", after)
	}
	expect(t, node, "/usr/bin/cephctl group list | cut -d ' ' -f 1; zgrep -c '^.TH' /usr/share/man/man8/cephctl-storage-status.8.gz", "GROUP\ndefault\n1")
	run(t, node, "dpkg -P ceph-ganeti-exporter cephctl")
	expect(t, node, "(pgrep -x ceph-ganeti-exp; ls -d /etc/ceph-ganeti-exporter.yml /etc/cephctl.yml /etc/systemd/system/*.wants/ceph-ganeti-exporter.service /usr/bin/cephctl; dpkg -l | grep ganeti-exporter) 2>/dev/null || true", "")
}

// makePackage packs a binary under the name of its program.
func makePackage(t *testing.T, folder, name, binary string) string {
	t.Helper()
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "../../packaging/deb.sh", program, folder).CombinedOutput(); err != nil {
		t.Fatalf("pack %s: %v\n%s", name, err, out)
	}
	found, err := filepath.Glob(filepath.Join(folder, name+"_*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d packages of %s, %v", len(found), name, err)
	}
	return found[0]
}
