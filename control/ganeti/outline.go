package ganeti

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Outline is what Ganeti's configuration alone says, for whoever must not wait for a node that does not answer.
type Outline struct {
	// Cluster has what [Inventory.Cluster] says of groups and nodes.
	Cluster   control.Cluster
	Groups    []OutlineGroup
	Instances []OutlineInstance
	// DiskParams are those of the cluster.
	DiskParams DiskParams
}

// OutlineGroup is a node group.
type OutlineGroup struct {
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

// DiskParams are disk parameters as Ganeti keeps them, by disk template and name.
type DiskParams map[string]map[string]json.RawMessage

// Text returns the value of a parameter that is a text, or "".
func (p DiskParams) Text(template, name string) string {
	var text string
	if json.Unmarshal(p[template][name], &text) != nil {
		return ""
	}
	return text
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
		o.Groups, err = query[OutlineGroup](ctx, i.rapi, "group", nil, "name", "uuid", "tags", "custom_diskparams")
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
	o.DiskParams = info.DiskParams
	o.Cluster = control.Cluster{Name: i.site.Cluster, Master: i.site.Master, AdminClients: true}
	for _, g := range o.Groups {
		o.Cluster.Groups = append(o.Cluster.Groups, control.Group{Name: g.Name, Mark: mark(g.Tags)})
	}
	for _, n := range nodes {
		g, _ := o.Group(n.GroupUUID)
		o.Cluster.Nodes = append(o.Cluster.Nodes, control.Node{
			Name: n.Name, Address: n.Address, Group: g.Name, Offline: n.Offline, Mark: mark(n.Tags), InstanceMemoryBytes: o.memory(n.Name),
		})
	}
	slices.SortFunc(o.Cluster.Groups, func(a, b control.Group) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Cluster.Nodes, func(a, b control.Node) int { return cmp.Compare(a.Name, b.Name) })
	return &o, nil
}

// memory is what the instances of a node may use at most, in bytes.
func (o *Outline) memory(node string) int64 {
	sum := int64(0)
	for _, in := range o.Instances {
		if in.Node == node {
			sum += in.MaxMemoryMiB << 20
		}
	}
	return sum
}

// Group returns the group with this name or UUID, or false.
func (o *Outline) Group(name string) (OutlineGroup, bool) {
	i := slices.IndexFunc(o.Groups, func(g OutlineGroup) bool { return g.Name == name || g.UUID == name })
	if i < 0 {
		return OutlineGroup{}, false
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
func (o *Outline) Param(g OutlineGroup, template, name string) string {
	if _, own := g.DiskParams[template][name]; own {
		return g.DiskParams.Text(template, name)
	}
	return o.DiskParams.Text(template, name)
}

// Disk returns the disk parameters that Ganeti uses for the disks of a group, and the template's defaults for what it has no
// parameter for. It opens all disks as the administrator of the storage cluster.
func (o *Outline) Disk(t control.DiskTemplate, g OutlineGroup) map[string]string {
	params := make(map[string]string)
	for _, option := range t.Options() {
		params[option.Name] = cmp.Or(o.Param(g, t.Name(), option.Name), option.Default)
	}
	params["user"] = "admin"
	return params
}
