package nodes

import (
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

func TestVM(t *testing.T) {
	nodes := startNodes(t, lab.NodesOptions{Count: 1, VM: &lab.VM{}})
	node := nodes.Node("node1")
	t.Log(run(t, node, "uname -r; systemctl is-system-running || true; systemctl --failed; lsmod; df -h; systemd-analyze || true; free -m; ls -l /dev/disk/by-id"))
}
