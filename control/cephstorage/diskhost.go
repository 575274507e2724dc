package cephstorage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/guestdisk"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// DiskHost makes RBD images disks of the guests of this node.
type DiskHost struct {
	host   *guestdisk.Host
	reader loopback.Options
}

var _ control.DiskHost = DiskHost{}

// NewDiskHost returns what runs commands on this node. The options say where it reads what the kernel and the OSDs of the
// node say; their zero value stands for the usual places.
func NewDiskHost(runner control.Runner, options loopback.Options) DiskHost {
	host := guestdisk.New(runner)
	host.Sysfs = cmp.Or(options.Sysfs, host.Sysfs)
	return DiskHost{host, options}
}

// device returns the device that a disk is.
func device(d control.DiskSpec) ceph.Device {
	return ceph.Device{
		Image:  ceph.Image{Pool: d.Params[ParamPool], Namespace: d.Params[ParamNamespace], Name: d.Image},
		Access: ceph.Access(d.Params[ParamAccess]), User: d.Params[ParamUser], Conf: d.Params[ParamConf], Disk: d.UUID,
	}
}

// told makes errors of a known cause those that the planner knows.
func told(err error) error {
	var known *guestdisk.Error
	if errors.As(err, &known) && known.Case != "" {
		return &control.DiskError{Case: known.Case, Text: known.Text, Cure: known.Cure}
	}
	return err
}

// Check implements control.DiskHost.
func (h DiskHost) Check(ctx context.Context, d control.DiskSpec) error {
	dev := device(d)
	if _, err := os.Stat(dev.Conf); err != nil {
		return &control.DiskError{
			Case: guestdisk.CaseConf, Text: fmt.Sprintf("read %s: %v", dev.Conf, errors.Unwrap(err)),
			Cure: "name the right one by the disk parameter " + ParamConf,
		}
	}
	if !needsMapping(d) {
		return nil
	}
	if err := h.host.CheckKernel(dev); err != nil {
		return told(err)
	}
	err := h.host.CheckFeatures(ctx, dev)
	if guestdisk.Is(err, guestdisk.CaseImage) {
		return nil // Look tells it
	}
	return told(err)
}

// Look implements control.DiskHost.
func (h DiskHost) Look(ctx context.Context, d control.DiskSpec) (control.ImageState, error) {
	state := control.ImageState{Watchers: []string{}}
	dev := device(d)
	image, err := h.host.Image(ctx, dev)
	if guestdisk.Is(err, guestdisk.CaseImage) {
		return state, nil
	}
	if err != nil {
		return state, told(err)
	}
	state.Exists, state.SizeBytes = true, image.SizeBytes
	if state.Watchers, err = h.host.Watchers(ctx, dev); err != nil {
		return state, told(err)
	}
	m, own, err := h.host.Mapping(ctx, dev)
	if err != nil {
		return state, told(err)
	}
	if m != nil {
		state.Mapped, state.MappedBy, state.Foreign = "/dev/"+m.Device, m.ClientAddr, !own
	}
	state.InUse = h.host.InUse(ctx, dev) != nil
	holder, err := h.host.Holder(ctx, dev, image)
	if err != nil || holder == nil {
		return state, told(err)
	}
	state.Claim = &control.Claim{}
	if err := json.Unmarshal(holder.Description, state.Claim); err != nil {
		state.Claim.Instance = "?" // somebody else's claim, in other words
	}
	state.Claim.Token = holder.Token
	state.Clients, err = h.host.Clients(ctx, dev)
	return state, told(err)
}

// Watchers implements control.DiskHost.
func (h DiskHost) Watchers(ctx context.Context, d control.DiskSpec) (all []string, own string, err error) {
	dev := device(d)
	if all, err = h.host.Watchers(ctx, dev); err != nil {
		return nil, "", told(err)
	}
	m, isOwn, err := h.host.Mapping(ctx, dev)
	if err == nil && isOwn {
		own = m.ClientAddr
	}
	return all, own, told(err)
}

// Create implements control.DiskHost.
func (h DiskHost) Create(ctx context.Context, d control.DiskSpec) error {
	return told(h.host.Create(ctx, device(d), d.SizeBytes))
}

// Remove implements control.DiskHost.
func (h DiskHost) Remove(ctx context.Context, d control.DiskSpec) error {
	return told(h.host.Remove(ctx, device(d)))
}

// Claim implements control.DiskHost.
func (h DiskHost) Claim(ctx context.Context, d control.DiskSpec, holder control.Claim) error {
	if err := h.host.CheckForeign(ctx, device(d)); err != nil {
		return told(err)
	}
	if err := h.host.InUse(ctx, device(d)); err != nil && !holder.Devices {
		return told(err)
	}
	description, err := json.Marshal(holder)
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	err = h.host.Claim(ctx, device(d), guestdisk.Claim{Token: holder.Token, Description: description})
	if errors.Is(err, guestdisk.ErrClaimed) {
		return fmt.Errorf("image %s %w", device(d).Image, control.ErrClaimed)
	}
	return told(err)
}

// Release implements control.DiskHost.
func (h DiskHost) Release(ctx context.Context, d control.DiskSpec, token string) error {
	return told(h.host.Release(ctx, device(d), token))
}

// Preview implements control.DiskHost.
func (h DiskHost) Preview(d control.DiskSpec) (control.OpenDisk, []string) {
	dev := device(d)
	commands := []string{run.Quote(guestdisk.ClaimCommand(dev)) + "    # with who claims it"}
	if needsMapping(d) {
		dev.Mapped = "/dev/rbdN"
		commands = append(commands, run.Quote(guestdisk.MapCommand(dev)))
	}
	return openDisk(d, dev), commands
}

// Open implements control.DiskHost.
func (h DiskHost) Open(ctx context.Context, d control.DiskSpec) (control.OpenDisk, error) {
	dev := device(d)
	if needsMapping(d) {
		mapped, err := h.host.Map(ctx, dev)
		if err != nil {
			return control.OpenDisk{}, told(err)
		}
		dev.Mapped = mapped
	}
	return openDisk(d, dev), nil
}

// needsMapping tells whether the kernel has to map the image.
func needsMapping(d control.DiskSpec) bool {
	return d.Map || ceph.Access(d.Params[ParamAccess]) == ceph.Kernelspace
}

func openDisk(d control.DiskSpec, dev ceph.Device) control.OpenDisk {
	return control.OpenDisk{
		Path: dev.Path(), Blockdev: dev.Blockdev(), Driver: dev.Driver(), Mapped: dev.Mapped,
		Cache: d.Params[ParamCache], Discard: d.Params[ParamDiscard] == "unmap", Origin: origin(d),
	}
}

// origin returns what Ganeti writes of a disk into the runtime file.
func origin(d control.DiskSpec) map[string]json.RawMessage {
	fields := make(map[string]json.RawMessage)
	for name, value := range map[string]any{
		"dev_type":   TemplateName,
		"logical_id": []string{TemplateName, d.Image},
		"params":     map[string]string{ParamAccess: d.Params[ParamAccess], ParamPool: d.Params[ParamPool]},
	} {
		fields[name], _ = json.Marshal(value) // strings can always be encoded
	}
	return fields
}

// Close implements control.DiskHost.
func (h DiskHost) Close(ctx context.Context, d control.DiskSpec) error {
	return told(h.host.Unmap(ctx, device(d)))
}

// Redact implements control.DiskHost.
func (h DiskHost) Redact(text string) string { return guestdisk.Redact(text) }

// Opened implements control.DiskHost.
func (h DiskHost) Opened(ctx context.Context, d control.DiskSpec, clients []string) error {
	return told(h.host.AddClients(ctx, device(d), clients...))
}

// Fence implements control.DiskHost.
func (h DiskHost) Fence(ctx context.Context, d control.DiskSpec, clients []string) error {
	return told(h.host.Blocklist(ctx, device(d), clients...))
}
