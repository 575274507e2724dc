package node

// Roles that a node can have: what it runs.
const (
	RoleMon = "mon"
	RoleMgr = "mgr"
	RoleOSD = "osd"
)

// Backends of an OSD: how its device is used.
const (
	// BackendLVM makes a logical volume on the device, with the tags that ceph-volume activates OSDs by.
	BackendLVM = "lvm"
	// BackendRaw uses the device as it is, and a unit of cephctl's activates the OSD after a boot.
	BackendRaw = "raw"
	// BackendFile makes a sparse file. For labs.
	BackendFile = "file"
)

// Object is the distributed storage object: it tells a node what to be. It holds secrets, so it travels on standard
// input only.
type Object struct {
	// FSID is the id of the Ceph cluster.
	FSID string `json:"fsid"`
	// Conf is the content of ceph.conf.
	Conf string `json:"conf"`
	// Keyrings are the files to be in /etc/ceph, by name, for example "ceph.client.admin.keyring". An empty content
	// takes the file away.
	Keyrings map[string]string `json:"keyrings,omitempty"`
	// Roles says what is to be brought up now. With none, only Conf and Keyrings are written.
	Roles []string `json:"node_roles,omitempty"`
	// Name is the name of the node's mon and mgr: its short host name.
	Name string `json:"name"`
	// Mon is set for the role mon.
	Mon *Mon `json:"mon,omitempty"`
	// MgrKeyring is the keyring of mgr.Name, for the role mgr.
	MgrKeyring string `json:"mgr_keyring,omitempty"`
	// OSDs are the OSDs to be brought up, for the role osd.
	OSDs []OSD `json:"devices,omitempty"`
}

// Mon says how a mon is made.
type Mon struct {
	// Addresses of this mon as Ceph writes them, for example "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]".
	Addresses string `json:"addresses"`
	// Monmap is the map of the running cluster, as `ceph mon getmap` gives it. Without it the mon is the first of a
	// new cluster.
	Monmap []byte `json:"monmap,omitempty"`
	// Keyring holds the key of "mon." and, for the first mon, those that the cluster begins with.
	Keyring string `json:"keyring"`
}

// OSD is an OSD on a device of the node.
type OSD struct {
	ID int `json:"id"`
	// UUID is the id that the OSD has in the OSD map and on its device.
	UUID string `json:"uuid"`
	// Device is the path of a block device or, with BackendFile, of a file.
	Device  string `json:"device"`
	Backend string `json:"backend"`
	// SizeBytes is how large the file is made, with BackendFile.
	SizeBytes int64 `json:"size_bytes,omitempty"`
	// Secret is the key of osd.ID.
	Secret string `json:"secret,omitempty"`
}

// Daemon names a daemon of the node: a role, and the name or number.
type Daemon struct {
	Role string `json:"role"`
	ID   string `json:"id"`
}

// String returns for example "osd.3".
func (d Daemon) String() string { return d.Role + "." + d.ID }

// Removal says which daemons a node is to stop, and what is to go with them.
type Removal struct {
	FSID    string   `json:"fsid"`
	Daemons []Daemon `json:"daemons"`
	// HalfMade are OSDs that are not daemons yet: with Data, their devices are wiped as well.
	HalfMade []OSD `json:"half_made,omitempty"`
	// Data removes the daemons' data folders, and wipes the devices of OSDs (LVM included). Without it the daemons
	// are stopped and do not start at the next boot, and nothing else.
	Data bool `json:"data,omitempty"`
	// Everything also removes ceph.conf, the keyrings of this cluster in /etc/ceph and what cephctl itself has put
	// there. Only with the given FSID in ceph.conf.
	Everything bool `json:"everything,omitempty"`
}
