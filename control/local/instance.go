package local

import (
	"context"
	"fmt"
	"slices"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

var _ control.InstanceInventory = (*Inventory)(nil)

// AddInstance adds an instance. Its node has to be there.
func (i *Inventory) AddInstance(ctx context.Context, instance control.Instance) error {
	return i.change(ctx, func(c *control.Cluster) error {
		if err := validName("instance", instance.Name); err != nil {
			return err
		}
		if _, ok := c.Instance(instance.Name); ok {
			return fmt.Errorf("instance %s %w", instance.Name, control.ErrExists)
		}
		if _, err := findNode(c, instance.Node); err != nil {
			return err
		}
		c.Instances = append(c.Instances, instance)
		return nil
	})
}

// RemoveInstance removes an instance.
func (i *Inventory) RemoveInstance(ctx context.Context, name string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		at, err := findInstance(c, name)
		if err != nil {
			return err
		}
		c.Instances = slices.Delete(c.Instances, at, at+1)
		return nil
	})
}

// MoveInstance says on which node an instance is from now on.
func (i *Inventory) MoveInstance(ctx context.Context, name, node string) error {
	return i.change(ctx, func(c *control.Cluster) error {
		at, err := findInstance(c, name)
		if err != nil {
			return err
		}
		if _, err := findNode(c, node); err != nil {
			return err
		}
		c.Instances[at].Node = node
		return nil
	})
}

// ChangeDiskParams implements control.DiskParamInventory.
func (i *Inventory) ChangeDiskParams(t control.DiskTemplate, group string, _, wanted control.Values) (control.Job, error) {
	owner := "all groups"
	if group != "" {
		owner = "group " + group
	}
	return control.Job{
		Text: "inventory: " + t.Name() + " of " + owner + ": " + control.OptionWords(t, wanted, "only what holds elsewhere"),
		Do:   func(ctx context.Context) error { return i.SetDiskParams(ctx, group, t.Name(), wanted) },
	}, nil
}

// SetDiskParams stores the disk parameters of a template for a group, or for the cluster when group is empty.
func (i *Inventory) SetDiskParams(ctx context.Context, group, template string, params control.Values) error {
	return i.change(ctx, func(c *control.Cluster) error {
		owner := &c.DiskParams
		if group != "" {
			at, err := findGroup(c, group)
			if err != nil {
				return err
			}
			owner = &c.Groups[at].DiskParams
		}
		if *owner == nil {
			*owner = map[string]control.Values{}
		}
		(*owner)[template] = params
		if len(params) == 0 {
			delete(*owner, template)
		}
		return nil
	})
}

func findInstance(c *control.Cluster, name string) (int, error) {
	at := slices.IndexFunc(c.Instances, func(i control.Instance) bool { return i.Name == name })
	if at < 0 {
		names := make([]string, len(c.Instances))
		for n := range c.Instances {
			names[n] = c.Instances[n].Name
		}
		return 0, unknown("instance", name, names)
	}
	return at, nil
}
