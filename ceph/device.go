package ceph

import (
	"encoding/json"
	"strings"
)

// Access is how the I/O of a guest's disk reaches its image.
type Access string

// The two accesses.
const (
	// Userspace is librbd inside QEMU.
	Userspace Access = "userspace"
	// Kernelspace is a block device that the kernel has mapped.
	Kernelspace Access = "kernelspace"
)

// Device is an RBD image as a disk of a guest.
type Device struct {
	Image  Image
	Access Access
	// User is who QEMU is to the cluster, without "client.", and Conf the ceph.conf that it reads. Both are of use for
	// userspace only, and may be empty for Ceph's own defaults.
	User, Conf string
	// Mapped is the block device that the image is mapped as, for example "/dev/rbd0". Kernelspace needs it.
	Mapped string
	// Disk is the uuid of the disk, by which a host knows what it has made of it whatever else changes. It may be empty.
	Disk string
}

// Path returns the KVM device path, as QEMU takes it for a file name and people read it: rbd:POOL/[NAMESPACE/]IMAGE with
// a backslash before what would end a part, or the mapped device.
func (d Device) Path() string {
	if d.Access == Kernelspace {
		return d.Mapped
	}
	path := "rbd:" + escape(d.Image.Pool) + "/"
	if d.Image.Namespace != "" {
		path += escape(d.Image.Namespace) + "/"
	}
	return path + escape(d.Image.Name)
}

// escape puts a backslash before what means something to QEMU in an "rbd:" name.
func escape(part string) string {
	return strings.NewReplacer(`\`, `\\`, `/`, `\/`, `:`, `\:`, `@`, `\@`).Replace(part)
}

// Driver returns the name of QEMU's block driver that does the I/O.
func (d Device) Driver() string {
	if d.Access == Kernelspace {
		return "host_device"
	}
	return "rbd"
}

// Blockdev returns the protocol node that QEMU opens the image by, as -blockdev takes it in JSON. In it no character needs
// an escape of QEMU's.
func (d Device) Blockdev() json.RawMessage {
	node := struct {
		Driver    string `json:"driver"`
		Filename  string `json:"filename,omitempty"`
		Pool      string `json:"pool,omitempty"`
		Namespace string `json:"namespace,omitempty"`
		Image     string `json:"image,omitempty"`
		User      string `json:"user,omitempty"`
		Conf      string `json:"conf,omitempty"`
	}{Driver: d.Driver()}
	if d.Access == Kernelspace {
		node.Filename = d.Mapped
	} else {
		node.Pool, node.Namespace, node.Image = d.Image.Pool, d.Image.Namespace, d.Image.Name
		node.User, node.Conf = d.User, d.Conf
	}
	data, _ := json.Marshal(node) // strings can always be encoded
	return data
}
