package kvm

import "encoding/json"

// Config is what a guest is started with.
type Config struct {
	Instance, UUID string
	MemoryMiB      int64
	VCPUs          int
	Drives         []Drive
	NICs           []NIC
}

// Drive is a disk to start a guest with. What the disk is made of is known to who has filled this in, and to QEMU.
type Drive struct {
	UUID    string
	SizeMiB int64
	// Path is the KVM device path, for people.
	Path string
	// Blockdev is the node that QEMU opens, as the JSON of -blockdev takes it for "file". It is passed on unread.
	Blockdev json.RawMessage
	// Driver is the block driver that QEMU has to say it is open through.
	Driver string
	// Cache is the cache mode: none, writeback or writethrough.
	Cache string
	// Discard passes the guest's discards on.
	Discard bool
	// Link is the local block device that the disk has beside, or empty.
	Link string
	// Origin is what the runtime file says of the disk beside this, for example its template, as the fields of a JSON
	// object. It is passed on unread.
	Origin map[string]json.RawMessage
}

// DeviceID returns the name that a disk has in QEMU, as Ganeti makes it.
func (d *Drive) DeviceID() string { return "disk-" + d.UUID[:min(len(d.UUID), 18)] }

// Modes of a NIC.
const (
	// ModeUser is QEMU's own network: the guest reaches out and nobody reaches it.
	ModeUser = "user"
	// ModeBridged is a tap device on a bridge.
	ModeBridged = "bridged"
)

// NIC is a network card.
type NIC struct {
	UUID, Mode, MAC string
	// Bridge is set with ModeBridged.
	Bridge string
}

// DeviceID returns the name that a NIC has in QEMU, as Ganeti makes it.
func (n *NIC) DeviceID() string { return "nic-" + n.UUID[:min(len(n.UUID), 18)] }

// Tap returns the name of the tap device, which ends with QEMU. An interface's name has 15 characters at most.
func (n *NIC) Tap() string { return "tap-" + n.UUID[:min(len(n.UUID), 8)] }
