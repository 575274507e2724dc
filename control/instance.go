package control

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
)

// Instance is a virtual machine that cephctl starts itself, or has Ganeti start.
type Instance struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
	// Node is the name of the node that it runs on.
	Node string `json:"node"`
	// Status is what the inventory itself says of it, where it says anything, in its own words.
	Status      string `json:"status,omitempty"`
	MemoryBytes int64  `json:"memory_bytes"`
	VCPUs       int    `json:"vcpus"`
	Disks       []Disk `json:"disks,omitempty"`
	NICs        []NIC  `json:"nics,omitempty"`
}

// Disk is a disk of an instance.
type Disk struct {
	UUID string `json:"uuid"`
	// Template is the name of its disk template.
	Template string `json:"template"`
	Image    string `json:"image"`
	// SizeBytes is how large it was when the instance was added.
	SizeBytes int64 `json:"size_bytes"`
	// Made tells that the image was made for the instance.
	Made bool `json:"made,omitempty"`
	// Where are the disk parameters that say where the image is, as they were when the instance was added.
	Where map[string]string `json:"where,omitempty"`
	// Own are disk parameters that hold for this disk alone.
	Own map[string]string `json:"own,omitempty"`
}

// NIC is a network card of an instance.
type NIC struct {
	UUID string `json:"uuid"`
	// Mode is "user" or "bridged".
	Mode   string `json:"mode"`
	Bridge string `json:"bridge,omitempty"`
	MAC    string `json:"mac"`
}

// Instance returns the instance with this name, or false.
func (c *Cluster) Instance(name string) (Instance, bool) {
	i := slices.IndexFunc(c.Instances, func(i Instance) bool { return i.Name == name })
	if i < 0 {
		return Instance{}, false
	}
	return c.Instances[i], true
}

// DiskParamInventory is an inventory that has disk parameters.
type DiskParamInventory interface {
	// ChangeDiskParams returns what gives a group other disk parameters of a template than it has now, or the cluster when
	// group is empty. An error that wraps ErrUsage says what the inventory can't keep.
	ChangeDiskParams(t DiskTemplate, group string, now, wanted Values) (Job, error)
}

// Job is a change of the inventory that is still to be made.
type Job struct {
	// Text says what is asked of whom, for people.
	Text string
	// Do makes the change and returns when it is made.
	Do func(ctx context.Context) error
}

// InstanceManager is an inventory that starts and stops its instances itself, as Ganeti does.
type InstanceManager interface {
	DiskParamInventory
	// RunDir is where nodes keep the files of these guests.
	RunDir() string
	// Images returns an instance with the images of its disks, which Cluster leaves out.
	Images(ctx context.Context, i Instance) (Instance, error)
	// StartJob and StopJob return what starts an instance, and what stops it when the guest has had so long to shut down.
	StartJob(name string) Job
	StopJob(name string, timeout time.Duration) Job
	// Traps are what is known to go wrong in a release with a disk that has these parameters, in sentences.
	Traps(release string, d DiskSpec) []string
}

// InstanceInventory is an inventory that keeps the instances which cephctl starts itself, and their disk parameters.
type InstanceInventory interface {
	DiskParamInventory
	AddInstance(ctx context.Context, instance Instance) error
	RemoveInstance(ctx context.Context, name string) error
	// MoveInstance says on which node an instance is from now on.
	MoveInstance(ctx context.Context, name, node string) error
	// SetDiskParams stores the disk parameters of a template for a group, or for the cluster when group is empty.
	SetDiskParams(ctx context.Context, group, template string, params Values) error
}

// DiskTemplate is a kind of disks of a storage type: its name and the disk parameters that it takes.
type DiskTemplate interface {
	// Name is what stands before the colon in -D.
	Name() string
	// Options are the disk parameters, in the order in which they are shown. Those that say where images are have Fixed.
	Options() []Option
}

// DiskSpec is a disk with all that holds for it, as a node gets it.
type DiskSpec struct {
	Disk
	Index int `json:"index"`
	// Params are all the disk parameters of its template.
	Params map[string]string `json:"params"`
	// Map asks for a local block device beside.
	Map bool `json:"map,omitempty"`
}

// OpenDisk is a disk that QEMU can open.
type OpenDisk struct {
	// Path is the KVM device path, for people.
	Path string
	// Blockdev is what QEMU opens, as the JSON of a node of -blockdev, and Driver the block driver that it has to say
	// it is open through.
	Blockdev json.RawMessage
	Driver   string
	// Cache is none, writeback or writethrough.
	Cache   string
	Discard bool
	// Mapped is the local block device, or empty.
	Mapped string
	// Origin are fields that the runtime file has about the disk.
	Origin map[string]json.RawMessage
}

// ImageState is what there is of an image, and who has it.
type ImageState struct {
	Exists    bool  `json:"exists"`
	SizeBytes int64 `json:"size_bytes,omitempty"`
	// Claim is who may write to it, or nil.
	Claim *Claim `json:"claim,omitempty"`
	// Watchers are the addresses of the clients that have it open.
	Watchers []string `json:"watchers"`
	// Clients are the addresses of the clients that may write for the holder of the claim.
	Clients []string `json:"clients,omitempty"`
	// Mapped is the local block device, or empty, and MappedBy the address of the client behind it.
	Mapped   string `json:"mapped,omitempty"`
	MappedBy string `json:"mapped_by,omitempty"`
	// Foreign tells that somebody else has mapped it, and that Close leaves it alone.
	Foreign bool `json:"foreign,omitempty"`
	// InUse tells that this device has a file system or something like it in use, which writes to the image.
	InUse bool `json:"in_use,omitempty"`
}

// Strangers are the addresses of the clients that have the image open, but for the local block device's.
func (s *ImageState) Strangers() []string { return Strangers(s.Watchers, s.MappedBy) }

// Fenced tells that the client behind the local block device was kept out of the cluster, which forgets that it has the image
// open: that device does nothing any more but to fail.
func (s *ImageState) Fenced() bool {
	return s.MappedBy != "" && !slices.Contains(s.Watchers, s.MappedBy)
}

// Strangers are clients but for the one behind the block device of this node.
func Strangers(clients []string, own string) []string {
	return slices.DeleteFunc(slices.Clone(clients), func(c string) bool { return c == own })
}

// Claim is who may write to an image.
type Claim struct {
	// Token tells one claim from all others.
	Token string `json:"token"`
	// Instance and UUID are those of the instance, Node the name that its node has in the inventory.
	Instance string `json:"instance"`
	UUID     string `json:"uuid"`
	Node     string `json:"node"`
	// Host is the host name of the node and Machine its machine id, Boot tells one boot of it from all others, and Agent
	// the process that has made the claim.
	Host    string    `json:"host"`
	Machine string    `json:"machine,omitempty"`
	Boot    string    `json:"boot"`
	Agent   string    `json:"agent"`
	Since   time.Time `json:"since"`
	// Devices tells that it is for a block device alone, by which people write to the image, and not for a guest.
	Devices bool `json:"devices,omitempty"`
}

// DiskRisk is what may come of it when a node opens a disk as it is to be opened: the node may hang on its own OSDs.
type DiskRisk struct {
	// Level is what the node would stand at, or where nobody can say that, might.
	Level loopback.Level `json:"level"`
	// Text says why, in half a sentence. Cures are the ways out, best first.
	Text  string   `json:"text"`
	Cures []string `json:"cures"`
}

// Refused tells whether a risk is too high to be taken without being asked for.
func (r *DiskRisk) Refused() bool { return r != nil && r.Level >= loopback.Warning }

// DiskHost does on a node what its disks need. Errors are *DiskError where the cause is known.
type DiskHost interface {
	// Check returns what this node lacks for the disk, whatever there is of the image.
	Check(ctx context.Context, d DiskSpec) error
	// Risk returns the risk that the node takes with the disk, or nil when there is none.
	Risk(ctx context.Context, d DiskSpec) (*DiskRisk, error)
	// Look returns what there is of the image. That there is none is no error.
	Look(ctx context.Context, d DiskSpec) (ImageState, error)
	// Watchers returns the addresses of the clients that have the image open, and which of them is the block device that Open
	// has made on this node, if there is one.
	Watchers(ctx context.Context, d DiskSpec) (all []string, own string, err error)
	// Create makes the image, Remove removes it.
	Create(ctx context.Context, d DiskSpec) error
	Remove(ctx context.Context, d DiskSpec) error
	// Claim makes the holder the one who may write to the image, or returns an error that wraps ErrClaimed. While something
	// else of this node writes to it, by the block device that the claim is not for or by somebody else's, there is another error.
	Claim(ctx context.Context, d DiskSpec, holder Claim) error
	// Release takes the claim with a token away.
	Release(ctx context.Context, d DiskSpec, token string) error
	// Preview returns what Open is going to return, as far as that is known, and the commands that are run for Claim and
	// Open, for people.
	Preview(d DiskSpec) (OpenDisk, []string)
	// Open prepares the image for QEMU, and maps it where that is asked for. Close undoes it, and takes no block device away
	// that Open has not made.
	Open(ctx context.Context, d DiskSpec) (OpenDisk, error)
	Close(ctx context.Context, d DiskSpec) error
	// Redact takes secrets of the storage type out of what programs have said.
	Redact(text string) string
	// Opened remembers clients that write for the holder of the claim, beside those that it remembers since Claim.
	Opened(ctx context.Context, d DiskSpec, clients []string) error
	// Fence keeps clients from writing any more, whatever they still have under way.
	Fence(ctx context.Context, d DiskSpec, clients []string) error
}

// DiskError is why a disk can't be used.
type DiskError struct {
	// Case names the kind, as docs/refusals.md lists them.
	Case string
	// Text is what is wrong, Cure what to do about it.
	Text, Cure string
}

// Error returns what is wrong and what to do about it.
func (e *DiskError) Error() string {
	if e.Cure == "" {
		return e.Text
	}
	return e.Text + ": " + e.Cure
}

// String returns the holder of a claim as people read it.
func (c *Claim) String() string {
	if c.Host == "" {
		return c.Instance
	}
	who := "instance "
	if c.Devices {
		who = "the block device of instance "
	}
	return who + c.Instance + " on " + c.Host + " since " + c.Since.Local().Format(time.DateTime)
}
