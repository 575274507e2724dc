package nodes

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// monScript makes a cluster with the mon of a node: $1 is its name, $2 its address.
const monScript = `
cat >/etc/ceph/ceph.conf <<END
[global]
fsid = 9a3e7e1c-5d0b-4f4e-8f7b-0c2c4d9f1a55
mon host = $2
auth allow insecure global id reclaim = false
mon data avail warn = 1
mon data avail crit = 0
osd pool default size = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
END
umask 077
admin=/etc/ceph/ceph.client.admin.keyring
bootstrap=/var/lib/ceph/bootstrap-osd/ceph.keyring
ceph-authtool -C $admin -g -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
ceph-authtool -C $bootstrap -g -n client.bootstrap-osd --cap mon 'profile bootstrap-osd' --cap mgr 'allow r' >/dev/null
ceph-authtool -C /tmp/keyring -g -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool /tmp/keyring --import-keyring $admin >/dev/null
ceph-authtool /tmp/keyring --import-keyring $bootstrap >/dev/null
monmaptool --create --fsid 9a3e7e1c-5d0b-4f4e-8f7b-0c2c4d9f1a55 --addv $1 "[v2:$2:3300,v1:$2:6789]" /tmp/monmap >/dev/null
chown ceph:ceph /tmp/keyring /tmp/monmap
setpriv --reuid ceph --regid ceph --init-groups ceph-mon --mkfs -i $1 --monmap /tmp/monmap --keyring /tmp/keyring
systemctl --quiet enable --now ceph-mon@$1`

// mgrScript adds the mgr of the node $1.
const mgrScript = `
install -d -o ceph -g ceph /var/lib/ceph/mgr/ceph-$1
ceph --connect-timeout 120 auth get-or-create mgr.$1 mon 'allow profile mgr' osd 'allow *' -o /var/lib/ceph/mgr/ceph-$1/keyring
chown ceph:ceph /var/lib/ceph/mgr/ceph-$1/keyring
systemctl --quiet enable --now ceph-mgr@$1`

// TestNodesRunCeph makes a cluster by hand with what Debian ships: its units, and ceph-volume on a disk of the lab.
func TestNodesRunCeph(t *testing.T) {
	nodes := startNodes(t, lab.NodesOptions{Count: 1})
	node := nodes.Node("node1")
	device, err := node.Disk(t.Context(), 5<<10)
	if err != nil {
		t.Fatal(err)
	}
	run(t, node, "set -- "+node.Name+" "+node.Address+monScript)
	run(t, node, "set -- "+node.Name+mgrScript)
	run(t, node, "ceph-volume raw prepare --bluestore --data "+device)
	expect(t, node, "blkid -o value -s TYPE -p "+device, "ceph_bluestore")
	run(t, node, "ceph-volume raw activate --no-systemd --device "+device+"; systemctl --quiet enable --now ceph-osd@0")
	waitHealthy(t, node)

	epoch := upFrom(t, node)
	if err := node.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, node, "systemctl is-active ceph-mon@node1 ceph-mgr@node1 | uniq", "active")
	// What ceph-volume makes it be up with does not outlive a boot, here as on any machine.
	expect(t, node, "stat -c %U "+device+"; ls /var/lib/ceph/osd/ceph-0", "root")
	run(t, node, "ceph-volume raw activate --no-systemd --device "+device+"; systemctl reset-failed ceph-osd@0; systemctl start ceph-osd@0")
	waitUntil(t, "the OSD", func() bool { return upFrom(t, node) > epoch })
	waitHealthy(t, node)
}

// waitHealthy waits until the cluster is healthy with an OSD that is up.
func waitHealthy(t *testing.T, node *lab.Node) {
	t.Helper()
	waitUntil(t, "a healthy cluster", func() bool {
		var status struct {
			Health struct {
				Status string `json:"status"`
			} `json:"health"`
			Osdmap struct {
				NumUpOsds int `json:"num_up_osds"`
			} `json:"osdmap"`
		}
		out := run(t, node, "ceph --connect-timeout 120 status -f json")
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			t.Fatal(err)
		}
		return status.Health.Status == "HEALTH_OK" && status.Osdmap.NumUpOsds == 1
	})
}

// upFrom returns the epoch in which the OSD came up, which it does anew after each start.
func upFrom(t *testing.T, node *lab.Node) int {
	t.Helper()
	out := run(t, node, "ceph --connect-timeout 120 osd dump -f json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"osds\"][0][\"up_from\"])'")
	epoch, err := strconv.Atoi(out)
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}
