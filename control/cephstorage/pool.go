package cephstorage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Pool is a pool of the cluster.
type Pool struct {
	Name    string `json:"name"`
	Size    int    `json:"size"`
	MinSize int    `json:"min_size"`
	Rule    string `json:"rule"`
	Domain  string `json:"failure_domain"`
	RBD     bool   `json:"rbd"`
	// Hosts are those whose OSDs its rule can choose.
	Hosts []string `json:"hosts"`
}

// Pools lists the pools.
func (s *Storage) Pools(ctx context.Context) ([]Pool, error) {
	c, err := s.observeCeph(ctx)
	if err != nil {
		return nil, err
	}
	pools := make([]Pool, 0, len(c.osds.Pools))
	for _, p := range c.osds.Pools {
		pool := Pool{Name: p.Name, Size: p.Size, MinSize: p.MinSize}
		if r := c.ruleOf(&p); r != nil {
			pool.Rule, pool.Domain = r.Name, r.domain()
		}
		pool.Hosts = c.tree.hostsOf(c.osdsOf(&p))
		_, pool.RBD = p.Applications["rbd"]
		pools = append(pools, pool)
	}
	return pools, nil
}

// PoolOptions say how a pool is made. Zero means as the storage options say.
type PoolOptions struct {
	Size int
	// Nodes are those that the pool is kept on, Group the group of which all are. Neither stands for all nodes with
	// OSDs.
	Nodes []string
	Group string
}

// CreatePool returns the change that makes a pool for RBD images.
func (s *Storage) CreatePool(name, command string, opts PoolOptions) control.Change {
	return control.Change{
		Kind: "pool-create", Target: name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planCreatePool(ctx, name, opts, memory)
		},
	}
}

func (s *Storage) planCreatePool(ctx context.Context, name string, opts PoolOptions, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "make the pool " + name}
	if err := checkPool(name); err != nil {
		return nil, fmt.Errorf("%w: pool %q: %w", control.ErrUsage, name, err)
	}
	v, err := s.observeFor(ctx, plan, func(n control.Node) bool {
		return slices.Contains(opts.Nodes, n.Name) || opts.Group != "" && n.Group == opts.Group && !n.Offline
	})
	if err != nil || len(plan.Blockers) > 0 {
		return plan, err
	}
	options, err := v.optionsOf("")
	if err != nil {
		return nil, err
	}
	size, err := opts.copies(options.Size)
	if err != nil {
		return nil, err
	}
	p := v.ceph.osds.pool(name)
	if p != nil && p.Size != size && opts.Size > 0 && memory.Get("creating") == "" {
		plan.Block("", "pool-exists", fmt.Sprintf("to change that: ceph osd pool set %s size %d", name, size), "pool %s exists already, with %d copies", name, p.Size)
		return plan, nil
	}
	nodes, err := opts.nodes(v)
	if err != nil {
		return nil, err
	}
	var where *place
	if len(nodes) > 0 {
		if where, err = s.setPlace(plan, v, name, nodes, size); err != nil || len(plan.Blockers) > 0 {
			return plan, err
		}
	}
	if p != nil && where != nil && memory.Get("creating") == "" && !slices.Equal(v.state.Pools[name], where.nodes) {
		plan.Block("", "pool-exists", "remove it first, or make another", "pool %s exists already, and is kept on other nodes", name)
		return plan, nil
	}
	memory.Keep("creating", yes)
	if where != nil {
		s.placeSteps(plan, v, name, where)
	}
	if p != nil && opts.Size == 0 {
		size = p.Size
	}
	if commands := v.poolCommands(name, size, options.Size, where); len(commands) > 0 {
		plan.Steps = append(plan.Steps, s.cephStep(v, "pool "+name, "make the pool "+name, commands...))
	}
	have, err := s.capsOf(ctx, instanceEntity)
	if err != nil {
		return nil, err
	}
	if c := have.with(name); c != nil {
		plan.Steps = append(plan.Steps, s.capsStep(v, "let instances use the images of pool "+name, c))
	}
	return plan, nil
}

// copies are how many there are to be, by default as the storage options say.
func (o *PoolOptions) copies(byDefault int) (int, error) {
	size := byDefault
	if o.Size != 0 {
		size = o.Size
	}
	if err := checkRange(1, 10)(strconv.Itoa(size)); err != nil {
		return 0, fmt.Errorf("%w: --size %d: %w", control.ErrUsage, size, err)
	}
	if size == 1 && byDefault != 1 {
		return 0, fmt.Errorf("%w: a pool with one copy loses data with every disk: Ceph makes none unless told on its own", control.ErrUsage)
	}
	return size, nil
}

// poolCommands are those that make a pool of a size, or what is left to do of it. Ceph gives a new one its default size.
func (v *view) poolCommands(name string, size, byDefault int, where *place) [][]string {
	var commands [][]string
	p := v.ceph.osds.pool(name)
	if p == nil {
		rule := wantedRule(len(v.ceph.tree.hosts()), size)
		if v.ceph.rule(rule) == nil {
			rule = hostRule
		}
		if where != nil {
			rule = where.rule
		}
		commands = append(commands, []string{"osd", "pool", "create", name, "--rule", rule})
	}
	if p == nil && size != byDefault || p != nil && p.Size != size {
		commands = append(commands, []string{"osd", "pool", "set", name, "size", strconv.Itoa(size)})
	}
	if p == nil || p.Applications["rbd"] == nil {
		commands = append(commands, enableRBD(name))
	}
	return commands
}

// nodes are the names of those that a pool is to be kept on; none for all.
func (o *PoolOptions) nodes(v *view) ([]string, error) {
	if o.Group == "" {
		return o.Nodes, nil
	}
	if _, ok := v.cluster.Group(o.Group); !ok {
		return nil, fmt.Errorf("group %s: %w: see \"cephctl group list\"", o.Group, control.ErrUnknown)
	}
	var all []string
	for _, n := range v.members(o.Group) {
		all = append(all, n.Name)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: group %s has no node that is online", control.ErrUsage, o.Group)
	}
	return all, nil
}

// kindPoolRemove is the kind of a removal of a pool, keyPoolDelete where it remembers whether pools could be removed before, and
// keyRule which CRUSH rule the pool had.
const (
	kindPoolRemove = "pool-remove"
	keyPoolDelete  = "pool-delete"
	keyRule        = "rule"
)

// RemovePool returns the change that removes a pool without images.
func (s *Storage) RemovePool(name, command string) control.Change {
	return control.Change{
		Kind: kindPoolRemove, Target: name, Command: command,
		Plan: func(ctx context.Context, memory *control.Memory) (*control.Plan, error) {
			return s.planRemovePool(ctx, name, memory)
		},
	}
}

func (s *Storage) planRemovePool(ctx context.Context, name string, memory *control.Memory) (*control.Plan, error) {
	plan := &control.Plan{Title: "remove the pool " + name}
	v, err := s.observeCluster(ctx, plan)
	if err != nil || len(plan.Blockers) > 0 {
		return plan, err
	}
	allowed := memory.Keep(keyPoolDelete, func() string { return v.ceph.setting("mon", allowDelete) })
	p := v.ceph.osds.pool(name)
	if p == nil {
		if err := s.forbidAgain(plan, v, name, allowed, memory); err != nil {
			return nil, err
		}
		return plan, s.afterPool(ctx, plan, v, name, memory.Get(keyRule))
	}
	if _, ok := p.Applications["rbd"]; !ok {
		plan.Block("", "pool-not-rbd", "remove it with Ceph's own commands if that is right", "pool %s is not one for RBD images", name)
		return plan, nil
	}
	images, err := s.images(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(images) > 0 {
		plan.Block("", "pool-has-images", "remove them first: "+removeImages(name, images), "pool %s holds %s", name, some(images))
		return plan, nil
	}
	memory.Keep("removing", yes)
	rule := memory.Keep(keyRule, func() string {
		if r := v.ceph.ruleOf(p); r != nil {
			return r.Name
		}
		return ""
	})
	plan.Destroys = []string{"the pool " + name}
	plan.Steps = append(plan.Steps, s.removePoolStep(v, name, allowed))
	return plan, s.afterPool(ctx, plan, v, name, rule)
}

// afterPool plans what goes with a pool.
func (s *Storage) afterPool(ctx context.Context, plan *control.Plan, v *view, name, rule string) error {
	have, err := s.capsOf(ctx, instanceEntity)
	if err != nil {
		return err
	}
	if options, err := v.optionsOf(""); err == nil && options.Pool != name { // that of the options is made again
		if c := have.without(name); c != nil {
			plan.Steps = append(plan.Steps, s.capsStep(v, "let instances use the images of other pools only", c))
		}
	}
	return s.unplace(ctx, plan, v, name, rule)
}

// removeImages says how images leave a pool.
func removeImages(pool string, images []string) string {
	if slices.ContainsFunc(images, func(image string) bool { return strings.HasSuffix(image, inTrash) }) {
		return "rbd rm " + pool + "/IMAGE, and rbd trash purge " + pool
	}
	return "rbd rm " + pool + "/IMAGE"
}

// allowDelete is the option without which no pool can be removed.
const allowDelete = "mon_allow_pool_delete"

// forbidAgain plans what an interrupted removal of a pool has left to do.
func (s *Storage) forbidAgain(plan *control.Plan, v *view, name, allowed string, memory *control.Memory) error {
	if memory.Get("removing") == "" {
		return fmt.Errorf("%w: there is no pool %s: see \"cephctl pool list\"", control.ErrUsage, name)
	}
	if v.ceph.setting("mon", allowDelete) != allowed {
		plan.Steps = append(plan.Steps, s.cephStep(v, "pool-forbid", "forbid the removal of pools again", restoreDelete(allowed)))
	}
	return nil
}

// restoreDelete is the command that makes the option what it was before.
func restoreDelete(allowed string) []string {
	if allowed == "" {
		return []string{"config", "rm", "mon", allowDelete}
	}
	return []string{"config", "set", "mon", allowDelete, allowed}
}

// removePoolStep allows the removal of pools just for as long as it takes.
func (s *Storage) removePoolStep(v *view, name, allowed string) control.Step {
	allow := []string{"config", "set", "mon", allowDelete, "true"}
	remove := []string{"osd", "pool", "rm", name, name, "--yes-i-really-really-mean-it"}
	forbid := restoreDelete(allowed)
	step := s.cephStep(v, "pool-rm "+name, "remove the pool "+name, allow, remove, forbid)
	step.Check = func(ctx context.Context) error {
		images, err := s.images(ctx, name)
		if err == nil && len(images) > 0 {
			err = fmt.Errorf("%w: pool %s now holds %s", control.ErrBlocked, name, some(images))
		}
		return err
	}
	step.Do = func(ctx context.Context, _ func(string)) (err error) {
		defer func() {
			// Also when the user has broken it off.
			if _, e := s.ceph(context.WithoutCancel(ctx), forbid...); err == nil {
				err = e
			}
		}()
		if _, err := s.ceph(ctx, allow...); err != nil {
			return err
		}
		_, err = s.ceph(ctx, remove...)
		return err
	}
	return step
}

// observeCluster looks at the cluster and at no node but the master.
func (s *Storage) observeCluster(ctx context.Context, plan *control.Plan) (*view, error) {
	return s.observeFor(ctx, plan, func(control.Node) bool { return false })
}

// observeFor looks at the cluster, which has to answer, and at nodes.
func (s *Storage) observeFor(ctx context.Context, plan *control.Plan, choose func(control.Node) bool) (*view, error) {
	v, err := s.observe(ctx, func(n control.Node, _ state.Storage) bool { return choose(n) })
	if err != nil {
		return nil, err
	}
	if v.ceph == nil {
		plan.Block(v.master.Name, "no-answer", "see \"cephctl storage status\"", "the Ceph cluster does not answer: %v", v.cephErr)
	}
	return v, nil
}
