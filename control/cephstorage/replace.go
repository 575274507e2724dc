package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// ReplaceOSD returns the change that makes an OSD anew, under the same id, on another device or on a new disk in the same
// place. An empty device means the place where it was.
func (s *Storage) ReplaceOSD(id int, device, command string) control.Change {
	return control.Change{
		Kind: "replace-osd", Target: strconv.Itoa(id), Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planReplace(ctx, id, device, memory)
		},
	}
}

// replacement is an OSD that is made anew.
type replacement struct {
	*leaving
	id     int
	uuid   string
	device string
	// old is the device that it was on.
	old string
}

func (s *Storage) planReplace(ctx context.Context, id int, device string, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "replace " + osdName(id)}
	if err := checkDisk(device); device != "" && err != nil {
		return nil, fmt.Errorf("%w: --device %s: %w", control.ErrUsage, device, err)
	}
	v, err := s.observe(ctx, func(m control.Node, st state.Storage) bool { return m.Group == st.Group && !m.Offline })
	if err != nil {
		return nil, err
	}
	b := &builder{Storage: s, v: v, plan: plan}
	b.checkCluster(v.state.ID)
	if len(plan.Blockers) > 0 {
		return plan, nil
	}
	n := b.hostOf(id)
	switch {
	case n == nil:
		plan.Block("", "unknown-osd", "see \"cephctl storage status\"", "no online node of the storage group carries %s", osdName(id))
	case n.err != nil:
		plan.Block(n.Name, "node-unreachable", "", "%v", n.err)
	}
	if len(plan.Blockers) > 0 {
		return plan, nil
	}
	if b.g, err = setGoal(v, v.state.Group, v.state.ID, v.members(v.state.Group), memory); err != nil {
		return nil, err
	}
	r := b.replacementOf(ctx, n, id, device, memory)
	if len(plan.Blockers) == 0 {
		b.replace(r)
	}
	return plan, nil
}

// hostOf returns the node that an OSD belongs to.
func (b *builder) hostOf(id int) *nodeView {
	if b.v.ceph == nil {
		return nil
	}
	for _, n := range b.v.members(b.v.state.Group) {
		if slices.Contains(b.v.ceph.tree.osdsOf(n.host()), id) {
			return n
		}
	}
	return nil
}

func (b *builder) replacementOf(ctx context.Context, n *nodeView, id int, device string, memory *control.Memory) *replacement {
	r := &replacement{leaving: &leaving{nodeView: n, osds: []int{id}}, id: id, device: device}
	r.old = memory.Keep("old-device", func() string { return n.deviceOf(id) })
	if r.device == "" {
		r.device = r.old
	}
	r.uuid = memory.Keep("uuid", control.NewUUID)
	b.checkReplacement(ctx, r, memory.Get("begun") != "")
	memory.Keep("begun", yes)
	return r
}

// deviceOf returns the device of an OSD: as an option of the node names it, as that may be a place rather than a disk,
// or else as the node says.
func (n *nodeView) deviceOf(id int) string {
	daemon := n.daemon(node.RoleOSD, strconv.Itoa(id))
	for _, d := range n.facts.Devices {
		if d.OSD != nil && d.OSD.ID == id || daemon != nil && daemon.Device != "" && (daemon.Device == d.Path || daemon.Device == d.Stable) {
			return d.Path
		}
	}
	if daemon != nil && daemon.Device == "" {
		// As lostOSD has it.
		if i := slices.IndexFunc(n.facts.Devices, func(d node.DeviceFacts) bool { return !d.Exists }); i >= 0 {
			return n.facts.Devices[i].Path
		}
	}
	if daemon != nil {
		return daemon.Device
	}
	return ""
}

func (b *builder) checkReplacement(ctx context.Context, r *replacement, begun bool) {
	if r.device == "" {
		b.plan.Block(r.Name, "no-device", "name it by --device", "it is not known on which device %s was", osdName(r.id))
		return
	}
	info := b.v.ceph.osds.osd(r.id)
	if info != nil && info.Up == 1 && info.UUID != r.uuid {
		b.checkDrain(ctx, r, begun)
	}
	if !begun {
		b.checkNewDevice(ctx, r, info)
	}
}

// checkDrain looks whether an OSD that is well can be drained: replacing it takes something away. One that is down is
// replaced whatever the health says, as that is the cure.
func (b *builder) checkDrain(ctx context.Context, r *replacement, begun bool) {
	if begun {
		checkHealth(b.plan, &b.v.ceph.health, causedByLeaving...)
	} else {
		checkHealth(b.plan, &b.v.ceph.health)
		b.checkSpace(r.leaving, b.askUsage(ctx)())
	}
	b.checkFlags()
	if lack := b.cannotHeal(r.leaving); lack != "" {
		b.plan.Block(r.Name, "cannot-drain", "stop it first if its disk is really broken: systemctl stop ceph-osd@"+strconv.Itoa(r.id),
			"%s is up and its data has nowhere to go: %s", osdName(r.id), lack)
	}
}

// checkNewDevice looks at the device, which need not be among the node's options yet. In its old place, the old OSD
// may still be on it.
func (b *builder) checkNewDevice(ctx context.Context, r *replacement, info *osdInfo) {
	options, err := b.v.optionsOf(r.Name)
	if err != nil {
		b.plan.Block(r.Name, "options", "", "%v", err)
		return
	}
	var facts node.Facts
	if err := b.call(ctx, r.Node, observeTimeout, "observe", node.Query{Devices: []string{r.device}, Backend: options.Backend}, &facts, nil); err != nil {
		b.plan.Block(r.Name, "node-unreachable", "", "%v", err)
		return
	}
	for i := range facts.Devices {
		d := &facts.Devices[i]
		switch {
		case !d.Exists:
			b.plan.Block(r.Name, "device-missing", "name a device of this node by --device", "%s does not exist", d.Path)
		case r.device == r.old && d.OSD != nil && info != nil && d.OSD.UUID == info.UUID:
		case !d.Pristine:
			b.plan.Block(r.Name, "device-in-use", howToWipe(d), "%s is not empty: %s", d.Path, d.Content)
		}
	}
}

// replace plans the steps, leaving out what is done.
func (b *builder) replace(r *replacement) {
	info := b.v.ceph.osds.osd(r.id)
	if info == nil || info.UUID != r.uuid {
		b.destroyOSD(r, info)
	}
	options, err := b.v.optionsOf(r.Name)
	if err != nil {
		b.plan.Block(r.Name, "options", "", "%v", err)
		return
	}
	if info == nil || info.UUID != r.uuid || info.Up == 0 || info.In == 0 || !r.isRunning(node.RoleOSD, strconv.Itoa(r.id)) {
		b.makeAgain(r, options)
	}
	if r.device != r.old && !slices.Contains(options.Disks, r.device) {
		b.step(b.rememberDevice(r, options))
	}
	b.settle("settle")
}

// destroyOSD plans how the old OSD gives up its id.
func (b *builder) destroyOSD(r *replacement, info *osdInfo) {
	b.plan.Destroys = append(b.plan.Destroys, "what is on "+r.old+" of "+r.Name)
	if info != nil && info.Up == 1 {
		b.rememberWeights(r.leaving)
	}
	b.step(b.cephStep(b.v, "out", "move the data of "+osdName(r.id)+" to other OSDs", []string{"osd", "out", strconv.Itoa(r.id)}))
	if info != nil && info.Up == 1 {
		b.step(b.waitSafe(r.leaving))
		b.stopOSDs(r.leaving)
	} else {
		b.step(b.waitHealed(r.leaving))
	}
	b.step(b.cephStep(b.v, "destroy", "take the key and the data of "+osdName(r.id)+" away, and keep its id",
		[]string{"osd", "destroy", strconv.Itoa(r.id), "--yes-i-really-mean-it"}))
	b.removeDaemons(r.leaving, osdName(r.id), "remove the data of "+osdName(r.id), daemons([]int{r.id})...)
}

// makeAgain plans the new OSD.
func (b *builder) makeAgain(r *replacement, options settings) {
	osd := node.OSD{ID: r.id, UUID: r.uuid, Device: r.device, Backend: options.Backend, SizeBytes: options.FileSize}
	object := b.objectFor(r.host())
	object.Roles = []string{node.RoleOSD}
	known := object
	known.OSDs = []node.OSD{osd}
	b.step(b.initStep(r.Node, "make "+osdName(r.id), "make "+osdName(r.id)+" on "+r.device, known, []string{
		fmt.Sprintf("ceph osd new %s %d", r.uuid, r.id),
		cephLine(authGet(osdName(r.id), osdCaps)) + "    # sent to the node",
		fmt.Sprintf("ceph osd in %d", r.id),
	}, func(ctx context.Context) (node.Object, error) {
		if _, err := b.ceph(ctx, "osd", "new", r.uuid, strconv.Itoa(r.id)); err != nil {
			return object, fmt.Errorf("register the OSD: %w", err)
		}
		secret, err := b.secret(ctx, osdName(r.id), osdCaps)
		if err != nil {
			return object, err
		}
		if _, err := b.ceph(ctx, "osd", "in", strconv.Itoa(r.id)); err != nil {
			return object, err
		}
		made := osd
		made.Secret = secret
		out := object
		out.OSDs = []node.OSD{made}
		return out, nil
	}))
}

// rememberDevice is a step that puts the new device in the place of the old one among the node's options.
func (b *builder) rememberDevice(r *replacement, options settings) control.Step {
	disks := slices.Clone(options.Disks)
	if i := slices.Index(disks, r.old); i >= 0 {
		disks[i] = r.device
	} else {
		disks = append(disks, r.device)
	}
	return control.Step{
		ID: "options " + r.Name, Node: b.v.master.Name, Title: "remember the new device",
		Commands: []string{"state: disk of node " + r.Name},
		Do: func(context.Context, func(string)) error {
			return b.remember(func(st *state.Storage) {
				st.SetNode(r.Name, control.Merge(st.Nodes[r.Name], control.Values{OptionDisk: disks}))
			})
		},
	}
}
