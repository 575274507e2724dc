// Package guest is what a node does with the instances of its master: it looks at them and their disks, and starts and stops
// them. It knows no storage type: what a disk needs is behind control.DiskHost.
package guest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// Actions that a Handler knows. All take a Request.
const (
	ActionLook       = "instance-look"       // answers Look
	ActionProve      = "instance-prove"      // answers which of Request.Claims are dead, by token
	ActionStart      = "instance-start"      // answers kvm.Status
	ActionStop       = "instance-stop"       // answers Stopped
	ActionCreate     = "instance-create"     // makes the images of Request.Disks
	ActionRemove     = "instance-remove"     // removes the images of Request.Disks
	ActionRelease    = "instance-release"    // takes those claims away that are dead or to be fenced
	ActionActivate   = "instance-activate"   // answers the block devices
	ActionDeactivate = "instance-deactivate" // takes them away
	ActionRemember   = "instance-remember"   // notes the clients that the guest has
)

// Request is what a master asks about an instance.
type Request struct {
	Instance control.Instance   `json:"instance"`
	Disks    []control.DiskSpec `json:"disks"`
	// Start asks for what stands in the way of a start, too.
	Start bool `json:"start,omitempty"`
	// RunDir is where the files of guests are, usually /run/cephctl.
	RunDir string `json:"run_dir"`
	// Ganeti tells that these are guests of Ganeti's: they are looked at, and nothing else.
	Ganeti bool `json:"ganeti,omitempty"`
	// Claims on the disks, one on each, are to be proven dead.
	Claims []control.Claim `json:"claims,omitempty"`
	// Dead are the tokens of claims that their own node has proven dead, and Fence those whose clients are to be
	// kept out first, as nobody can prove it.
	Dead  []string `json:"dead,omitempty"`
	Fence []string `json:"fence,omitempty"`
	// Timeout is what a guest has to shut itself down.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Look is what a node says of an instance.
type Look struct {
	// Host is the host name of the node.
	Host string `json:"host"`
	// Guest is set when it runs. Problem says why a guest that runs does not answer.
	Guest   *kvm.Status `json:"guest,omitempty"`
	Problem string      `json:"problem,omitempty"`
	Disks   []DiskLook  `json:"disks"`
	// Blockers are why it can't be started here.
	Blockers []control.Blocker `json:"blockers,omitempty"`
	// Stray are disks that the guest has and that are not asked about, by what QEMU has open.
	Stray []string `json:"stray,omitempty"`
	// Commands are what a start runs.
	Commands []string `json:"commands,omitempty"`
}

// Lost returns the image that a guest which runs has no claim on any more: it was kept out, and has lost its disk. It is
// empty as long as all is well, and of Ganeti's guests, which have no claims.
func (l *Look) Lost(r *Request) string {
	for i := range l.Disks {
		d := &l.Disks[i]
		if l.Guest != nil && !r.Ganeti && d.Problem == nil && (d.Claim == nil || d.Claim.UUID != r.Instance.UUID || d.Claim.Host != l.Host) {
			return r.Disks[i].Image
		}
	}
	return ""
}

// DiskLook is what a node says of a disk.
type DiskLook struct {
	control.ImageState
	// Path is the KVM device path. As Access and Cache, it is that of the guest that runs, or else of its next start.
	Path   string `json:"path"`
	Access string `json:"access"`
	Cache  string `json:"cache"`
	// Driver is the block driver through which the guest that runs has it open, and Open what that has open, both as QEMU
	// says; empty when QEMU has no such disk.
	Driver string `json:"driver,omitempty"`
	Open   string `json:"open,omitempty"`
	// Dead tells that the holder of the claim was on this node and is proven dead.
	Dead bool `json:"dead,omitempty"`
	// Risk is what may come of it when it is opened here as it is to be, or nil.
	Risk *control.DiskRisk `json:"risk,omitempty"`
	// Problem is why the image could not be looked at.
	Problem *control.Blocker `json:"problem,omitempty"`
}

// Stopped is how an instance was stopped.
type Stopped struct {
	How string `json:"how"`
	// Left are what could not be given back, and does not keep a start from happening.
	Left []string `json:"left,omitempty"`
}

// dir is where the guest's files are.
func (r *Request) dir() kvm.Dir {
	if r.Ganeti {
		return kvm.GanetiDir(r.RunDir)
	}
	return kvm.CephctlDir(r.RunDir)
}

// eachDisk does something with all disks at once: each may wait for a cluster that does not answer.
func (r *Request) eachDisk(do func(i int, d control.DiskSpec)) {
	var all sync.WaitGroup
	for i, d := range r.Disks {
		all.Go(func() { do(i, d) })
	}
	all.Wait()
}

func parseRequest(payload json.RawMessage) (*Request, error) {
	var r Request
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("read payload: %w", err)
	}
	return &r, nil
}

// lockFile keeps actions on one instance apart.
func (r *Request) lockFile() string { return filepath.Join(string(r.dir()), "lock", r.Instance.Name) }
