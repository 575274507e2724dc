package instance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// Add returns the change that adds an instance. Of the disks, those with a size get an image that is made, the others have
// one. Names of images, UUIDs and addresses of NICs that are not given are made up.
func (s *Instances) Add(wanted control.Instance) control.Change {
	return control.Change{
		Kind: "instance-add", Target: wanted.Name,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planAdd(ctx, wanted, memory)
		},
	}
}

func (s *Instances) planAdd(ctx context.Context, wanted control.Instance, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "add instance " + wanted.Name}
	inventory, err := keeper(s.Env, "gnt-instance add -t rbd")
	if err != nil {
		return nil, err
	}
	c, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	if _, exists := c.Instance(wanted.Name); exists {
		if memory.Get("instance") == "" { // else it was begun, and has been done to the end
			plan.Block("", "instance-exists", "see \"cephctl instance info "+wanted.Name+"\"", "there is an instance %s already", wanted.Name)
		}
		return plan, nil
	}
	n, ok := c.Node(wanted.Node)
	if !ok {
		return nil, fmt.Errorf("node %s is %w", wanted.Node, control.ErrUnknown)
	}
	if n.Offline {
		plan.Block(n.Name, "node-offline", "name another node", "is offline")
		return plan, nil
	}
	i, err := s.complete(c, wanted, memory)
	if err != nil {
		return nil, err
	}
	r, err := s.request(c, i, false)
	if err != nil {
		return nil, err
	}
	if err := s.planImages(ctx, plan, c, n, r, memory); err != nil || len(plan.Blockers) > 0 {
		return plan, err
	}
	plan.Steps = append(plan.Steps, control.Step{
		ID: "add", Node: masterOf(c, n), Title: "put instance " + i.Name + " into the inventory",
		Commands: []string{"inventory: instance " + i.Name + " on " + i.Node},
		Do:       func(ctx context.Context, _ func(string)) error { return inventory.AddInstance(ctx, i) },
	})
	return plan, nil
}

// complete makes up what was not given, once.
func (s *Instances) complete(c *site, i control.Instance, memory *control.Memory) (control.Instance, error) {
	var failed error
	text := memory.Keep("instance", func() string {
		i.UUID = control.NewUUID()
		for n := range i.Disks {
			d := &i.Disks[n]
			d.UUID, d.Made = control.NewUUID(), d.SizeBytes > 0
			if d.Image == "" {
				d.Image = fmt.Sprintf("%s.%s.disk%d", control.NewUUID(), d.Template, n)
			}
			d.Where, failed = c.where(i.Node, *d)
		}
		for n := range i.NICs {
			i.NICs[n].UUID = control.NewUUID()
			if i.NICs[n].MAC == "" {
				i.NICs[n].MAC = newMAC()
			}
		}
		data, err := json.Marshal(i)
		if err != nil {
			failed = err
		}
		return string(data)
	})
	if failed != nil {
		return i, failed
	}
	err := json.Unmarshal([]byte(text), &i)
	return i, err
}

// where returns the disk parameters that say where an image is.
func (c *site) where(node string, d control.Disk) (map[string]string, error) {
	params, err := c.params(node, d)
	if err != nil {
		return nil, err
	}
	t, err := c.template(d.Template)
	if err != nil {
		return nil, err
	}
	where := make(map[string]string)
	for _, o := range t.Options() {
		if o.Fixed && params[o.Name] != "" {
			where[o.Name] = params[o.Name]
		}
	}
	return where, nil
}

// planImages looks at the images, and plans to make those that are to be made.
func (s *Instances) planImages(ctx context.Context, plan *control.Plan, c *site, n control.Node, r *guest.Request, memory *control.Memory) error {
	if len(r.Disks) == 0 {
		return nil
	}
	var l guest.Look
	if err := s.call(ctx, n, guest.ActionLook, r, &l, nil); err != nil {
		return err
	}
	create := *r
	create.Disks = nil
	for i, d := range r.Disks {
		found := &l.Disks[i]
		switch owner := ownerOf(c, d); {
		case found.Problem != nil:
			plan.Blockers = append(plan.Blockers, *found.Problem)
		case slices.ContainsFunc(r.Disks[:i], func(other control.DiskSpec) bool { return isSameImage(d.Disk, other.Disk) }):
			plan.Block(n.Name, "image-taken", "name another", "disk %d: image %s is named twice", i, d.Image)
		case owner != "":
			plan.Block(n.Name, "image-taken", "name another", "disk %d: image %s belongs to instance %s", i, d.Image, owner)
		case !d.Made && !found.Exists:
			plan.Block(n.Name, "disk-no-image", "name an image that exists, or give a size to have it made", "disk %d: there is no image %s", i, d.Image)
		case !d.Made:
			r.Instance.Disks[i].SizeBytes = found.SizeBytes
		case found.Exists && memory.Get("creating") == "":
			plan.Block(n.Name, "disk-exists", "leave out its size to use it as it is, or name another", "disk %d: there is an image %s already", i, d.Image)
		case !found.Exists:
			create.Disks = append(create.Disks, d)
		}
	}
	if len(plan.Blockers) > 0 || len(create.Disks) == 0 {
		return nil
	}
	memory.Keep("creating", func() string { return "yes" })
	step := control.Step{
		ID: "images", Node: n.Name, Title: "make the images",
		Do: func(ctx context.Context, progress func(string)) error {
			return s.call(ctx, n, guest.ActionCreate, &create, nil, progress)
		},
	}
	for _, d := range create.Disks {
		step.Commands = append(step.Commands, fmt.Sprintf("image %s of %d MiB, where %s", run.Quote([]string{d.Image}), d.SizeBytes>>20, whereText(d.Where)))
	}
	plan.Steps = append(plan.Steps, step)
	return nil
}

// ownerOf returns the instance that an image belongs to, or nothing.
func ownerOf(c *site, d control.DiskSpec) string {
	for _, i := range c.Instances {
		for _, other := range i.Disks {
			if isSameImage(d.Disk, other) {
				return i.Name
			}
		}
	}
	return ""
}

func isSameImage(a, b control.Disk) bool {
	return a.Template == b.Template && a.Image == b.Image && whereText(a.Where) == whereText(b.Where)
}

// newMAC returns a random address with the prefix that QEMU's cards have.
func newMAC() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", b[0], b[1], b[2])
}
