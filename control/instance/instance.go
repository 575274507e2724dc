// Package instance plans what becomes of the instances that cephctl starts itself: on which node, with which disks, and that
// nobody else writes to these. Those of Ganeti it has Ganeti start, and looks whether their disks are open as they are to be.
package instance

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
)

// callTimeout bounds what a node does about an instance, beside the time that a guest has to shut down.
const callTimeout = 5 * time.Minute

// DefaultRunDir is where a node keeps the files of its guests.
const DefaultRunDir = "/run/cephctl"

// Instances plans with an environment.
type Instances struct {
	Env *control.Env
	// Storage are the storage types.
	Storage []control.StorageType
	// RunDir is where nodes keep the files of guests; DefaultRunDir when empty.
	RunDir string
}

func (s *Instances) runDir() string { return cmp.Or(s.RunDir, DefaultRunDir) }

// Templates returns the disk templates, with the defaults that follow the storage options.
func Templates(types []control.StorageType, store control.Store) ([]control.DiskTemplate, error) {
	st, err := store.Load()
	if err != nil {
		return nil, err
	}
	templates := make([]control.DiskTemplate, len(types))
	for i, t := range types {
		var options control.Values
		if known := st.Storage[t.Name()]; known != nil {
			options = known.Options
		}
		templates[i] = t.Disks(options)
	}
	return templates, nil
}

// site is what is known while something is planned.
type site struct {
	control.Cluster
	templates []control.DiskTemplate
}

// site returns what the inventory knows and the disk templates.
func (s *Instances) site(ctx context.Context) (*site, error) {
	if _, keeps := s.Env.Inventory.(control.InstanceInventory); !keeps && s.manager() == nil {
		return nil, fmt.Errorf("%w: this inventory keeps no instances", control.ErrUsage)
	}
	c, err := s.Env.Inventory.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	templates, err := Templates(s.Storage, s.Env.Store)
	return &site{c, templates}, err
}

// template returns the disk template with this name.
func (c *site) template(name string) (control.DiskTemplate, error) {
	for _, t := range c.templates {
		if t.Name() == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%w: no disk template is called %q", control.ErrUsage, name)
}

// params returns the disk parameters that hold for a disk of an instance: where its image is, as it was when the instance
// was added, and all else as it is now.
func (c *site) params(node string, d control.Disk) (map[string]string, error) {
	t, err := c.template(d.Template)
	if err != nil {
		return nil, err
	}
	n, _ := c.Node(node)
	g, _ := c.Group(n.Group)
	params := make(map[string]string)
	for _, v := range c.ResolveDisk(t, g) {
		if len(v.Values) > 0 {
			params[v.Name] = v.Values[0]
		}
	}
	for _, o := range t.Options() {
		if o.Fixed && d.Where != nil {
			delete(params, o.Name)
		}
	}
	maps.Copy(params, d.Where)
	maps.Copy(params, d.Own)
	return params, nil
}

// request returns what a node is asked about an instance.
func (s *Instances) request(c *site, i control.Instance, mapped bool) (*guest.Request, error) {
	r := &guest.Request{Instance: i, RunDir: s.runDir(), Disks: []control.DiskSpec{}}
	m := s.manager()
	if m != nil {
		r.RunDir, r.Ganeti = m.RunDir(), true
	}
	for n, d := range i.Disks {
		if _, err := c.template(d.Template); err != nil && m != nil {
			continue // Ganeti has more kinds of disks
		}
		params, err := c.params(i.Node, d)
		if err != nil {
			return nil, err
		}
		r.Disks = append(r.Disks, control.DiskSpec{Disk: d, Index: n, Params: params, Map: mapped})
	}
	return r, nil
}

// call has the agent of a node carry out an action, as [control.Env.Ask] does.
func (s *Instances) call(ctx context.Context, n control.Node, action string, r *guest.Request, result any, progress func(string)) error {
	return s.Env.Ask(ctx, n, control.Question{Part: guest.Name, Action: action, Payload: r, Timeout: callTimeout + r.Timeout}, result, progress)
}

// find returns an instance with its node, or on another.
func find(c *site, name, node string) (control.Instance, control.Node, error) {
	i, ok := c.Instance(name)
	if !ok {
		return i, control.Node{}, fmt.Errorf("instance %s is %w: see \"cephctl instance list\"", name, control.ErrUnknown)
	}
	i.Node = cmp.Or(node, i.Node)
	n, ok := c.Node(i.Node)
	if !ok {
		return i, n, fmt.Errorf("node %s is %w: see \"cephctl node list\"", i.Node, control.ErrUnknown)
	}
	return i, n, nil
}

// manager returns the inventory when it starts and stops instances itself, or nil.
func (s *Instances) manager() control.InstanceManager {
	m, _ := s.Env.Inventory.(control.InstanceManager)
	return m
}

// keeper returns the inventory as one whose instances cephctl starts itself. Else the error names the command of Ganeti's
// that is to be used.
func keeper(env *control.Env, instead string) (control.InstanceInventory, error) {
	k, ok := env.Inventory.(control.InstanceInventory)
	if !ok {
		return nil, fmt.Errorf("%w: Ganeti does that: %s", control.ErrUsage, instead)
	}
	return k, nil
}
