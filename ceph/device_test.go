package ceph_test

import (
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

func TestDevice(t *testing.T) {
	for _, c := range []struct {
		name, path, driver, blockdev string
		device                       ceph.Device
	}{
		{
			"userspace", "rbd:vms/disk0", "rbd", `{"driver":"rbd","pool":"vms","image":"disk0","user":"instances","conf":"/etc/ceph/ceph.conf"}`,
			ceph.Device{Image: ceph.Image{Pool: "vms", Name: "disk0"}, Access: ceph.Userspace, User: "instances", Conf: "/etc/ceph/ceph.conf"},
		},
		{
			"namespace", "rbd:vms/ns/disk0", "rbd", `{"driver":"rbd","pool":"vms","namespace":"ns","image":"disk0"}`,
			ceph.Device{Image: ceph.Image{Pool: "vms", Namespace: "ns", Name: "disk0"}, Access: ceph.Userspace},
		},
		{
			"what QEMU would read", `rbd:a\@b\:c/d\:e=f,g\\h`, "rbd", `{"driver":"rbd","pool":"a@b:c","image":"d:e=f,g\\h"}`,
			ceph.Device{Image: ceph.Image{Pool: "a@b:c", Name: `d:e=f,g\h`}, Access: ceph.Userspace},
		},
		{
			"kernelspace", "/dev/rbd0", "host_device", `{"driver":"host_device","filename":"/dev/rbd0"}`,
			ceph.Device{Image: ceph.Image{Pool: "vms", Name: "disk0"}, Access: ceph.Kernelspace, User: "instances", Mapped: "/dev/rbd0"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.device.Path(); got != c.path {
				t.Errorf("path %s, want %s", got, c.path)
			}
			if got := c.device.Driver(); got != c.driver {
				t.Errorf("driver %s, want %s", got, c.driver)
			}
			if got := string(c.device.Blockdev()); got != c.blockdev {
				t.Errorf("blockdev %s, want %s", got, c.blockdev)
			}
		})
	}
}
