package ganeti

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Outline is what Ganeti's configuration alone says, for whoever must not wait for a node that does not answer.
type Outline struct {
	// Cluster has what [Inventory.Cluster] says of groups and nodes.
	Cluster   control.Cluster
	Groups    []Group
	Instances []OutlineInstance
	// DiskParams are those of the cluster.
	DiskParams DiskParams
}

// Group is a node group.
type Group struct {
	Name string   `json:"name"`
	UUID string   `json:"uuid"`
	Tags []string `json:"tags"`
	// DiskParams are those that the group has itself. (What Ganeti calls merged lacks the cluster's for each template of
	// which the group has any.)
	DiskParams DiskParams `json:"custom_diskparams"`
}

// OutlineInstance is an instance.
type OutlineInstance struct {
	Name string `json:"name"`
	// Node is the name of its primary node.
	Node string `json:"pnode"`
	// Template is the disk template of its disks, "mixed" where they differ.
	Template     string `json:"disk_template"`
	MaxMemoryMiB int64  `json:"be/maxmem"`
}

// Outline asks for all of it.
func (i *Inventory) Outline(ctx context.Context) (*Outline, error) {
	var (
		o     Outline
		nodes []node
	)
	var info struct {
		DiskParams DiskParams `json:"diskparams"`
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return i.rapi.get(ctx, "/2/info", nil, &info) })
	all.Go(func() (err error) {
		o.Groups, err = query[Group](ctx, i.rapi, "group", nil, "name", "uuid", "tags", "custom_diskparams")
		return err
	})
	all.Go(func() (err error) {
		nodes, err = query[node](ctx, i.rapi, "node", nil, "name", "group.uuid", "pip", "offline", "tags")
		return err
	})
	all.Go(func() (err error) {
		o.Instances, err = query[OutlineInstance](ctx, i.rapi, "instance", nil, "name", "pnode", "disk_template", "be/maxmem")
		return err
	})
	if err := all.Wait(); err != nil {
		return nil, fmt.Errorf("read Ganeti's configuration: %w", err)
	}
	memory := make(map[string]int64)
	for _, in := range o.Instances {
		memory[in.Node] += in.MaxMemoryMiB << 20
	}
	o.DiskParams = info.DiskParams
	o.Cluster = newCluster(i.site, o.Groups, nodes, memory)
	return &o, nil
}

// Group returns the group with this name or UUID, or false.
func (o *Outline) Group(name string) (Group, bool) {
	i := slices.IndexFunc(o.Groups, func(g Group) bool { return g.Name == name || g.UUID == name })
	if i < 0 {
		return Group{}, false
	}
	return o.Groups[i], true
}

// InstancesOf are the names of a group's instances that may have disks of a template.
func (o *Outline) InstancesOf(group, template string) []string {
	var names []string
	for _, in := range o.Instances {
		n, ok := o.Cluster.Node(in.Node)
		if ok && n.Group == group && (in.Template == template || in.Template == "mixed") {
			names = append(names, in.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Param returns what holds for a disk parameter in a group: its own, else the cluster's.
func (o *Outline) Param(g Group, template, name string) string {
	if _, own := g.DiskParams[template][name]; own {
		return g.DiskParams.Text(template, name)
	}
	return o.DiskParams.Text(template, name)
}

// Disk returns the disk parameters that Ganeti uses for the disks of a group, and the template's defaults for what it has no
// parameter for. It opens all disks as the administrator of the storage cluster.
func (o *Outline) Disk(t control.DiskTemplate, g Group) map[string]string {
	params := make(map[string]string)
	for _, option := range t.Options() {
		params[option.Name] = cmp.Or(o.Param(g, t.Name(), option.Name), option.Default)
	}
	params["user"] = "admin"
	return params
}
