// Package loopback judges the risk that a node hangs because its kernel writes to RBD images whose data its own OSDs
// keep, and reads what that takes from the node itself.
//
// An OSD is a process. When memory runs short, its allocations wait for the kernel to write dirty pages back; when these
// belong to an image that the same OSD serves, each waits for the other. It takes a kernel mapping, dirty page cache
// behind it, an OSD of this node that serves its pool, and memory pressure. See tracker.ceph.com/issues/3076.
package loopback

import (
	"slices"
	"time"
)

// Level is how near a node is to hanging, from None to Critical.
type Level int

// The levels. They are a risk, not a prophecy: the kernel throttles writers, and most nodes at Warning never hang.
const (
	// None: no OSD of this node has a part of the image's pool.
	None Level = iota
	// Info: nobody has the device open for writing. Ganeti up to 3.1.1 maps images so beside userspace instances.
	Info
	// Notice: written to, but past the page cache.
	Notice
	// Warning: written to through the page cache of the host.
	Warning
	// Critical: as Warning and memory is short, or swap on it, or requests to an OSD of this node that do not end.
	Critical
)

// String returns the level's name, as in the output of cephctl.
func (l Level) String() string {
	return [...]string{"none", "info", "notice", "warning", "critical"}[l]
}

// Reason is how a mapped device is used: the worst use of several counts.
type Reason string

// The reasons, least first.
const (
	// Idle: nobody has it open for writing.
	Idle Reason = "idle"
	// Direct: a process has it open with O_DIRECT.
	Direct Reason = "direct"
	// PageCache: a process writes through the host's page cache, such as QEMU with a disk cache other than none.
	PageCache Reason = "page_cache"
	// Filesystem: a file system of the host is on it.
	Filesystem Reason = "filesystem"
	// Swap: the host swaps to it.
	Swap Reason = "swap"
)

var reasons = []Reason{Idle, Direct, PageCache, Filesystem, Swap}

// worse returns the worse of two.
func worse(a, b Reason) Reason {
	if slices.Index(reasons, b) > slices.Index(reasons, a) {
		return b
	}
	return a
}

// The drivers of mappings.
const (
	KRBD = "krbd"
	NBD  = "rbd-nbd"
)

// Mapping is an image that this node has as a block device.
type Mapping struct {
	// Device is its name without /dev/, for example rbd0 or nbd3.
	Device string `json:"device"`
	// Driver is KRBD or NBD.
	Driver    string `json:"driver"`
	Pool      string `json:"pool"`
	Namespace string `json:"namespace,omitempty"`
	Image     string `json:"image"`
	ImageID   string `json:"image_id,omitempty"`
	Snapshot  string `json:"snapshot,omitempty"`
	// FSID is the cluster, empty when nobody says.
	FSID string `json:"fsid,omitempty"`
	// PoolID is the pool with the image's data; 0 when it is not known, as no pool has this id.
	PoolID uint64 `json:"pool_id,omitempty"`
	// DataPool is the name of that pool, and HeaderPoolID the pool that the image is named in, of an image with --data-pool
	// alone. ObjectMap is true when writes wait for the image's object map, which is with its header.
	DataPool     string `json:"data_pool,omitempty"`
	HeaderPoolID uint64 `json:"header_pool_id,omitempty"`
	ObjectMap    bool   `json:"object_map,omitempty"`
	// Parents are what a clone reads from where it has no data of its own, nearest first: the first write to each object
	// waits for that. They are known of krbd alone.
	Parents []Parent `json:"parents,omitempty"`
	// ReadOnly is true when the device takes no writes.
	ReadOnly bool `json:"read_only,omitempty"`
	// Untouched is true when nothing was written to the device since it was mapped. Then it does not matter that processes
	// cannot be looked at: so it is beside userspace instances of Ganeti up to 3.1.1.
	Untouched bool `json:"untouched,omitempty"`
	// Instance and Disk are of Ganeti, empty when no instance owns the device.
	Instance string `json:"instance,omitempty"`
	Disk     string `json:"disk,omitempty"`
	// Uses is who has it open or mounted, Unseen what could not be looked for.
	Uses   []Use    `json:"uses"`
	Unseen []Reason `json:"unseen,omitempty"`
	// Looked is when processes were last looked at for this device; zero for never.
	Looked time.Time `json:"looked,omitzero"`
	// InFlight is how many requests to OSDs of this node are under way, or of all when InFlightAll says so. Oldest is
	// how long the oldest has been seen.
	InFlight    int           `json:"in_flight"`
	InFlightAll bool          `json:"in_flight_all,omitempty"`
	Oldest      time.Duration `json:"oldest_ns,omitempty"`
}

// Parent is an image that a clone reads from. Its pool is the one that it is named in: the node does not know another.
type Parent struct {
	Pool    string `json:"pool"`
	PoolID  uint64 `json:"pool_id"`
	ImageID string `json:"image_id,omitempty"`
}

// Use is a way in which a device is used.
type Use struct {
	Reason Reason `json:"reason"`
	// Device is that of the stack which is used: the mapped one, a partition, or one of the device mapper on it.
	Device string `json:"device"`
	// Who says by whom, for example "/srv (xfs)" or "qemu-system-x86 (process 4711)".
	Who string `json:"who"`
	// Path is the mount point or the swap file, for the cure.
	Path string `json:"path,omitempty"`
	// PID is the process, 0 for the kernel's own uses.
	PID int `json:"pid,omitempty"`
}

// OSD is one of this node that runs.
type OSD struct {
	ID int `json:"id"`
	// FSID is its cluster, empty when nobody says.
	FSID string `json:"fsid,omitempty"`
	// Pools are the ids of those that have a PG on it, as it has said at Asked; zero for never.
	Pools []uint64  `json:"pools"`
	Asked time.Time `json:"asked,omitzero"`
}

// Known tells whether the OSD has said what it serves.
func (o OSD) Known() bool { return !o.Asked.IsZero() }

// mayBeOf tells whether the OSD is of a cluster, for all that is known.
func (o OSD) mayBeOf(fsid string) bool { return o.FSID == "" || fsid == "" || o.FSID == fsid }

// Share is how much of a pool the OSDs of this node have.
type Share struct {
	// PGs is how many placement groups the pool has, Primary of how many the primary is here, and Any of how many any
	// copy is.
	PGs     int `json:"pgs"`
	Primary int `json:"primary"`
	Any     int `json:"any"`
}

// Memory is how short memory is on the node.
type Memory struct {
	// Full is the share of the last minute in which all tasks waited for memory, 0 to 1. HasPSI is false on a kernel
	// that does not count it.
	Full   float64 `json:"full"`
	HasPSI bool    `json:"has_psi"`
	// These are in bytes. HasInfo is false when they could not be read.
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
	Dirty     uint64 `json:"dirty"`
	Writeback uint64 `json:"writeback"`
	HasInfo   bool   `json:"has_info"`
}

// Node is what counts for all mappings of a node.
type Node struct {
	// OSDs are those that run here, OSDsKnown false when nobody can say which do.
	OSDs      []OSD  `json:"osds"`
	OSDsKnown bool   `json:"osds_known"`
	Memory    Memory `json:"memory"`
	// Shares are by pool id. They are evidence and no part of the judgement; nil when they are not known.
	Shares map[uint64]Share `json:"shares,omitempty"`
}
