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
		for _, r := range c.rules {
			if r.ID == p.Rule {
				pool.Rule, pool.Domain = r.Name, r.domain()
			}
		}
		_, pool.RBD = p.Applications["rbd"]
		pools = append(pools, pool)
	}
	return pools, nil
}

// PoolOptions say how a pool is made. Zero means as the storage options say.
type PoolOptions struct {
	Size int
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
	v, err := s.observeCluster(ctx, plan)
	if err != nil || len(plan.Blockers) > 0 {
		return plan, err
	}
	options, err := v.optionsOf("")
	if err != nil {
		return nil, err
	}
	size := options.Size
	if opts.Size != 0 {
		size = opts.Size
	}
	if err := checkRange(1, 10)(strconv.Itoa(size)); err != nil {
		return nil, fmt.Errorf("%w: --size %d: %w", control.ErrUsage, size, err)
	}
	p := v.ceph.osds.pool(name)
	switch {
	case size == 1 && options.Size != 1:
		return nil, fmt.Errorf("%w: a pool with one copy loses data with every disk: Ceph makes none unless told on its own", control.ErrUsage)
	case p != nil && p.Size != size && opts.Size > 0 && memory.Get("creating") == "":
		return nil, fmt.Errorf("pool %s %w, with %d copies: to change that: ceph osd pool set %s size %d", name, control.ErrExists, p.Size, name, size)
	}
	memory.Keep("creating", yes)
	var commands [][]string
	if p == nil {
		rule := wantedRule(len(v.ceph.tree.hosts()), size)
		if v.ceph.rule(rule) == nil {
			rule = hostRule
		}
		commands = append(commands, []string{"osd", "pool", "create", name, "--rule", rule})
	}
	if p != nil && opts.Size == 0 {
		size = p.Size
	}
	if p == nil && size != options.Size || p != nil && p.Size != size {
		commands = append(commands, []string{"osd", "pool", "set", name, "size", strconv.Itoa(size)})
	}
	if p == nil || p.Applications["rbd"] == nil {
		commands = append(commands, enableRBD(name))
	}
	if len(commands) > 0 {
		plan.Steps = append(plan.Steps, s.cephStep(v, "pool "+name, "make the pool "+name, commands...))
	}
	return plan, nil
}

// RemovePool returns the change that removes a pool without images.
func (s *Storage) RemovePool(name, command string) control.Change {
	return control.Change{
		Kind: "pool-remove", Target: name, Command: command,
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
	allowed := memory.Keep("pool-delete", func() string { return v.ceph.setting("mon", allowDelete) })
	p := v.ceph.osds.pool(name)
	if p == nil {
		return plan, s.forbidAgain(plan, v, name, allowed, memory)
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
	plan.Destroys = []string{"the pool " + name}
	plan.Steps = append(plan.Steps, s.removePoolStep(v, name, allowed))
	return plan, nil
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
	v, err := s.observe(ctx, func(control.Node, state.Storage) bool { return false })
	if err != nil {
		return nil, err
	}
	if v.ceph == nil {
		plan.Block(v.master.Name, "no-answer", "see \"cephctl storage status\"", "the Ceph cluster does not answer: %v", v.cephErr)
	}
	return v, nil
}
