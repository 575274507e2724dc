package node

import "time"

// Query says what Observe is to look at besides what it always does.
type Query struct {
	// Devices are paths of block devices or, with BackendFile, of files.
	Devices []string `json:"devices,omitempty"`
	// Backend is that of OSDs to be made on them.
	Backend string `json:"backend,omitempty"`
}

// Facts is what Ceph's files, units and devices on a node say. It holds no secrets.
type Facts struct {
	// Host is the short host name.
	Host string `json:"host"`
	// Time is the node's clock when it answered.
	Time time.Time `json:"time"`
	// MemoryBytes is MemTotal of /proc/meminfo.
	MemoryBytes int64 `json:"memory_bytes"`
	// Addresses are those of the node's interfaces, loopback left out, as "10.0.0.1/24".
	Addresses []string `json:"addresses"`
	// Packages are the versions of installed packages, by name; only ceph-mon, ceph-mgr, ceph-osd, ceph-common and
	// what the backend needs (lvm2, ceph-volume). A missing one is not in it.
	Packages map[string]string `json:"packages"`
	// Release is the version of Ceph that the packages have, for example "16.2.15"; empty when not installed.
	Release string `json:"release,omitempty"`
	// Conf is set when /etc/ceph/ceph.conf exists, and empty when it is there and can't be read.
	Conf *Conf `json:"conf,omitempty"`
	// Keyrings are the names of the files *.keyring in /etc/ceph, with their mode.
	Keyrings []File `json:"keyrings,omitempty"`
	// Daemons are those of which there is a data folder or a unit that is enabled or active.
	Daemons []DaemonFacts `json:"daemons,omitempty"`
	// Devices answer those of the query, in its order.
	Devices []DeviceFacts `json:"devices,omitempty"`
	// VarFreeBytes is how much is free below /var/lib/ceph.
	VarFreeBytes int64 `json:"var_free_bytes"`
	// Problems are what could not be read, one sentence each.
	Problems []string `json:"problems,omitempty"`
}

// Conf is what a ceph.conf says.
type Conf struct {
	FSID    string `json:"fsid"`
	MonHost string `json:"mon_host"`
	// SHA256 is the checksum of the file, in hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// File is a file that must not be read by others.
type File struct {
	Name string `json:"name"`
	// Mode is the permission in octal digits, for example "0600".
	Mode string `json:"mode"`
}

// DaemonFacts is a daemon of the node.
type DaemonFacts struct {
	Daemon
	// Active is the unit's ActiveState, for example "active" or "failed".
	Active string `json:"active"`
	// Enabled tells whether the daemon starts at the next boot.
	Enabled bool `json:"enabled"`
	// Data tells whether its data folder is complete (made to the end).
	Data bool `json:"data"`
	// FSID is that of its cluster, when its data says so.
	FSID string `json:"fsid,omitempty"`
	// For an OSD: its uuid, device and backend, where they are known.
	UUID    string `json:"uuid,omitempty"`
	Device  string `json:"device,omitempty"`
	Backend string `json:"backend,omitempty"`
}

// DeviceFacts is what a device that an OSD is to use looks like.
type DeviceFacts struct {
	// Path is the path that was asked for.
	Path string `json:"path"`
	// Stable is a path below /dev/disk/by-id that names the same device, or Path when there is none.
	Stable string `json:"stable"`
	// Exists is false when there is no such device. With BackendFile the folder must exist, and the file need not.
	Exists    bool  `json:"exists"`
	SizeBytes int64 `json:"size_bytes,omitempty"`
	// Pristine tells whether nothing at all is on it. Else Content says what is, for example "ext4 file system" or
	// "mounted on /srv".
	Pristine bool   `json:"pristine"`
	Content  string `json:"content,omitempty"`
	// Wipe is what a person would type to have nothing on it, where that is not `wipefs -a`.
	Wipe string `json:"wipe,omitempty"`
	// OSD is set when the device holds one: made to the end, or half made.
	OSD *DeviceOSD `json:"osd,omitempty"`
}

// DeviceOSD is the OSD that a device's label names.
type DeviceOSD struct {
	ID   int    `json:"id"`
	UUID string `json:"uuid"`
	FSID string `json:"fsid"`
	// Complete is false when its mkfs was broken off.
	Complete bool `json:"complete"`
}
