package ganeti

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// MarkTag is how the tag begins that says of which storage type a node or a node group is: distributed-storage:ceph.
const MarkTag = "distributed-storage:"

// Inventory is that of a Ganeti cluster. Nodes have their full names.
type Inventory struct {
	site   *Site
	rapi   *RAPI
	runner control.Runner
}

var _ control.Inventory = (*Inventory)(nil)

// New returns the inventory of a cluster. Commands that the remote API lacks are run by runner, on the master.
func New(site *Site, rapi *RAPI, runner control.Runner) *Inventory {
	return &Inventory{site: site, rapi: rapi, runner: runner}
}

// Cluster asks for all of it. Groups and nodes come in the order of their names.
func (i *Inventory) Cluster(ctx context.Context) (control.Cluster, error) {
	var a answers
	all, ctx := errgroup.WithContext(ctx)
	for what, into := range map[string]any{"info": &a.info, "groups": &a.groups, "nodes": &a.nodes, "instances": &a.instances} {
		all.Go(func() error {
			if err := i.rapi.get(ctx, "/2/"+what, url.Values{"bulk": {"1"}}, into); err != nil {
				return fmt.Errorf("read Ganeti's %s: %w", what, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return control.Cluster{}, err
	}
	return a.cluster(i.site), nil
}

// answers are what Ganeti says of the cluster.
type answers struct {
	info      info
	groups    []Group
	nodes     []node
	instances []instance
}

type info struct {
	Version    string     `json:"software_version"`
	DiskParams DiskParams `json:"diskparams"`
}

type node struct {
	Name      string   `json:"name"`
	GroupUUID string   `json:"group.uuid"`
	Address   string   `json:"pip"`
	Offline   bool     `json:"offline"`
	Tags      []string `json:"tags"`
}

// cluster is what Ganeti says, in the project's words.
func (a *answers) cluster(site *Site) control.Cluster {
	memory := make(map[string]int64)
	for _, in := range a.instances {
		memory[in.PrimaryNode] += in.Parameters.MaxMemoryMiB << 20
	}
	c := newCluster(site, a.groups, a.nodes, memory)
	c.Release, c.DiskParams, c.Preset = a.info.Version, a.info.DiskParams.values(), preset()
	for _, g := range a.groups {
		at := slices.IndexFunc(c.Groups, func(known control.Group) bool { return known.Name == g.Name })
		c.Groups[at].DiskParams = g.DiskParams.values()
	}
	for _, in := range a.instances {
		c.Instances = append(c.Instances, in.instance())
	}
	a.placeImages(&c)
	slices.SortFunc(c.Instances, func(a, b control.Instance) int { return cmp.Compare(a.Name, b.Name) })
	return c
}

// newCluster is what Ganeti says of groups, but for their disk parameters, and of nodes, in the order of their names. Memory
// is what the instances of nodes may use at most, in bytes.
func newCluster(site *Site, groups []Group, nodes []node, memory map[string]int64) control.Cluster {
	// Ganeti gives QEMU and rbd neither a user nor a key.
	c := control.Cluster{Name: site.Cluster, Master: site.Master, AdminClients: true, MasterStays: true}
	names := make(map[string]string)
	for _, g := range groups {
		names[g.UUID] = g.Name
		c.Groups = append(c.Groups, control.Group{Name: g.Name, Mark: mark(g.Tags)})
	}
	for _, n := range nodes {
		c.Nodes = append(c.Nodes, control.Node{
			Name: n.Name, Address: n.Address, Group: names[n.GroupUUID], Offline: n.Offline, Mark: mark(n.Tags),
			InstanceMemoryBytes: memory[n.Name],
		})
	}
	slices.SortFunc(c.Groups, func(a, b control.Group) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Nodes, func(a, b control.Node) int { return cmp.Compare(a.Name, b.Name) })
	return c
}

// placeImages says where the images of instances are: in the pool of the group of their node, which is where Ganeti looks
// whenever it uses them.
func (a *answers) placeImages(c *control.Cluster) {
	pools := make(map[string][]string) // of nodes
	groups := make(map[string]control.Values)
	for _, g := range a.groups {
		groups[g.UUID] = control.Merge(c.DiskParams[rbd], g.DiskParams.values()[rbd])
	}
	for _, n := range a.nodes {
		pools[n.Name] = groups[n.GroupUUID][paramPool]
	}
	for i := range c.Instances {
		for d := range c.Instances[i].Disks {
			if pool := pools[c.Instances[i].Node]; len(pool) == 1 && c.Instances[i].Disks[d].Template == rbd {
				c.Instances[i].Disks[d].Where = map[string]string{paramPool: pool[0]}
			}
		}
	}
}

func mark(tags []string) string {
	for _, tag := range tags {
		if storage, ok := strings.CutPrefix(tag, MarkTag); ok {
			return storage
		}
	}
	return ""
}

// AddGroup adds a node group without nodes.
func (i *Inventory) AddGroup(ctx context.Context, name string) error {
	return i.change(ctx, http.MethodPost, "/2/groups", nil, map[string]any{"name": name})
}

// RemoveGroup removes a node group without nodes.
func (i *Inventory) RemoveGroup(ctx context.Context, name string) error {
	return i.change(ctx, http.MethodDelete, groupPath(name), nil, nil)
}

// AssignNodes moves nodes into a node group: all of them, or with an error none.
func (i *Inventory) AssignNodes(ctx context.Context, group string, nodes ...string) error {
	return i.change(ctx, http.MethodPut, groupPath(group)+"/assign-nodes", nil, map[string]any{"nodes": nodes})
}

// AddNode runs gnt-node add: the remote API can't.
func (i *Inventory) AddNode(ctx context.Context, node control.Node) error {
	argv := []string{"gnt-node", "add", "--no-ssh-key-check"}
	if node.Group != "" {
		argv = append(argv, "--node-group", node.Group)
	}
	return i.run(ctx, append(argv, node.Name)...)
}

// RemoveNode runs gnt-node remove: the remote API can't.
func (i *Inventory) RemoveNode(ctx context.Context, name string) error {
	return i.run(ctx, "gnt-node", "remove", name)
}

// SetOffline marks a node offline, or brings one back with gnt-node add --readd, as Ganeti wants it.
func (i *Inventory) SetOffline(ctx context.Context, name string, offline bool) error {
	var now node
	if err := i.get(ctx, nodePath(name), &now); err != nil || now.Offline == offline {
		return err
	}
	if offline {
		return i.change(ctx, http.MethodPost, nodePath(name)+"/modify", nil,
			map[string]any{"offline": true, "auto_promote": true})
	}
	return i.run(ctx, "gnt-node", "add", "--readd", "--no-ssh-key-check", name)
}

// MarkGroup tags a node group with a storage type, or takes the tag away, and with it the job filters that guard the group.
func (i *Inventory) MarkGroup(ctx context.Context, group, storage string) error {
	if err := i.mark(ctx, groupPath(group)+"/tags", storage); err != nil || storage != "" {
		return err
	}
	return i.unguard(ctx, func(g *Group) bool { return g.Name == group })
}

// MarkNode tags a node with a storage type, or takes the tag away.
func (i *Inventory) MarkNode(ctx context.Context, node, storage string) error {
	return i.mark(ctx, nodePath(node)+"/tags", storage)
}

func (i *Inventory) mark(ctx context.Context, path, storage string) error {
	var tags []string
	if err := i.get(ctx, path, &tags); err != nil {
		return err
	}
	wanted := MarkTag + storage
	old := slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return !strings.HasPrefix(tag, MarkTag) || storage != "" && tag == wanted
	})
	if len(old) > 0 {
		if err := i.change(ctx, http.MethodDelete, path, url.Values{"tag": old}, nil); err != nil {
			return err
		}
	}
	if storage == "" || slices.Contains(tags, wanted) {
		return nil
	}
	return i.change(ctx, http.MethodPut, path, url.Values{"tag": {wanted}}, nil)
}

func groupPath(name string) string { return "/2/groups/" + url.PathEscape(name) }
func nodePath(name string) string  { return "/2/nodes/" + url.PathEscape(name) }

func (i *Inventory) get(ctx context.Context, path string, into any) error {
	return known(i.rapi.get(ctx, path, nil, into), path)
}

func (i *Inventory) change(ctx context.Context, method, path string, query url.Values, body any) error {
	return known(i.rapi.change(ctx, method, path, query, body), path)
}

// known makes what Ganeti does not find an error that wraps control.ErrUnknown, and what is there already one that wraps
// control.ErrExists.
func known(err error, path string) error {
	parts := strings.Split(path, "/") // "", "2", "nodes", NAME
	if status := new(StatusError); errors.As(err, &status) && status.Code == http.StatusNotFound && len(parts) > 3 {
		return fmt.Errorf("%s %s is %w of Ganeti", strings.TrimSuffix(parts[2], "s"), parts[3], control.ErrUnknown)
	}
	if failed := new(JobError); errors.As(err, &failed) {
		switch {
		case strings.Contains(failed.Reason, "not known"):
			return fmt.Errorf("%w (%w)", err, control.ErrUnknown)
		case strings.Contains(failed.Reason, "already exist"):
			return fmt.Errorf("%w (%w)", err, control.ErrExists)
		}
	}
	return err
}

// run runs one of Ganeti's commands.
func (i *Inventory) run(ctx context.Context, argv ...string) error {
	_, err := i.runner.Run(ctx, nil, argv...)
	if end := new(run.Error); errors.As(err, &end) && slices.ContainsFunc(refusals, func(no string) bool { return strings.Contains(end.Stderr, no) }) {
		return refused{err}
	}
	return err
}

// refusals are what Ganeti's commands say when a job has not got past its checks, or the hooks before it.
var refusals = []string{"Failure: prerequisites not met for this operation", "Failure: hooks execution failed"}
