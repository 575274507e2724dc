package instance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// StartOptions say how an instance is started.
type StartOptions struct {
	// Node is where, from now on; the node of the instance when empty.
	Node string
	// Map asks for local block devices beside.
	Map bool
	// BreakClaim takes claims away whose holders can't be proven dead, and keeps their clients out.
	BreakClaim bool
}

// Start returns the change that starts an instance. Result is filled in when it has started.
func (s *Instances) Start(name string, opts StartOptions, result *kvm.Status) control.Change {
	return control.Change{
		Kind: "instance-start", Target: name, Free: true,
		Plan: func(ctx context.Context, _ *control.Memory) (*control.Plan, error) {
			return s.planStart(ctx, name, opts, result)
		},
	}
}

func (s *Instances) planStart(ctx context.Context, name string, opts StartOptions, result *kvm.Status) (*control.Plan, error) {
	plan := &control.Plan{Title: "start instance " + name}
	c, err := s.Env.Inventory.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	away := map[string]error{}
	i, n, moves, err := s.place(ctx, plan, &c, name, opts.Node, away)
	if err != nil || len(plan.Blockers) > 0 {
		return plan, err
	}
	r, err := s.request(&c, i, opts.Map)
	if err != nil {
		return nil, err
	}
	r.Start = true
	var l guest.Look
	if err := s.call(ctx, n, guest.ActionLook, r, &l, nil); err != nil {
		return nil, err
	}
	if l.Guest != nil {
		plan.Note("instance %s runs already, on %s", name, n.Name)
		return plan, nil
	}
	plan.Blockers = append(plan.Blockers, l.Blockers...)
	for d := range l.Disks {
		s.checkDisk(ctx, plan, &c, n, r, d, &l, opts, away)
	}
	if len(plan.Blockers) == 0 {
		plan.Steps = append(plan.Steps, s.startStep(n, r, l.Commands, moves, result))
	}
	return plan, nil
}

// place returns the instance as it is to run, its node, and whether it moves there. Nodes that do not answer are noted as away.
func (s *Instances) place(
	ctx context.Context, plan *control.Plan, c *control.Cluster, name, node string, away map[string]error,
) (control.Instance, control.Node, bool, error) {
	i, ok := c.Instance(name)
	if !ok {
		return i, control.Node{}, false, fmt.Errorf("instance %s is %w: see \"cephctl instance list\"", name, control.ErrUnknown)
	}
	old := i.Node
	if node != "" {
		i.Node = node
	}
	n, ok := c.Node(i.Node)
	switch {
	case !ok:
		return i, n, false, fmt.Errorf("node %s is %w: see \"cephctl node list\"", i.Node, control.ErrUnknown)
	case n.Offline:
		plan.Block(n.Name, "node-offline", "start it on another: --node NODE", "is offline")
	case i.Node != old:
		s.blockRunning(ctx, plan, c, i, old, away)
	}
	return i, n, i.Node != old, nil
}

// blockRunning adds a blocker when an instance runs on the node that it is to leave. When that node does not answer, the
// claims on its disks decide.
func (s *Instances) blockRunning(ctx context.Context, plan *control.Plan, c *control.Cluster, i control.Instance, node string, away map[string]error) {
	n, ok := c.Node(node)
	if !ok {
		return
	}
	r := &guest.Request{Instance: i, RunDir: s.RunDir}
	if r.RunDir == "" {
		r.RunDir = DefaultRunDir
	}
	var l guest.Look
	switch err := s.call(ctx, n, guest.ActionLook, r, &l, nil); {
	case errors.Is(err, control.ErrUnreachable):
		away[node] = err
	case err == nil && l.Guest != nil:
		plan.Block(node, "instance-running", "stop it first: cephctl instance stop "+i.Name, "instance %s runs there", i.Name)
	}
}

// checkDisk adds what the image of a disk and those who have it say against a start, and to the request whose claims may
// be taken away.
func (s *Instances) checkDisk(
	ctx context.Context, plan *control.Plan, c *control.Cluster, n control.Node, r *guest.Request, d int, l *guest.Look, opts StartOptions,
	away map[string]error,
) {
	found, image := &l.Disks[d], r.Disks[d].Image
	left := slices.DeleteFunc(slices.Clone(found.Watchers), func(w string) bool {
		return w == found.MappedBy || found.Claim != nil && slices.Contains(found.Clients, w)
	})
	switch {
	case found.Problem != nil:
		plan.Blockers = append(plan.Blockers, *found.Problem)
		return
	case !found.Exists:
		plan.Block(n.Name, "disk-no-image", "see \"cephctl instance info "+r.Instance.Name+"\"", "disk %d: there is no image %s", d, image)
		return
	case len(left) > 0:
		plan.Block(n.Name, "image-in-use", "end that first", "disk %d: image %s is open elsewhere, by client %s", d, image, strings.Join(left, ", "))
		return
	case found.Claim == nil, found.Dead:
		return
	}
	dead, unknown := s.prove(ctx, c, found.Claim, away)
	switch {
	case unknown == nil && dead:
		r.Dead = append(r.Dead, found.Claim.Token)
	case unknown == nil:
		plan.Block(n.Name, "image-claimed", "stop it there first", "disk %d: image %s is claimed by %s, which runs", d, image, found.Claim)
	case len(found.Watchers) > 0:
		plan.Block(n.Name, "image-claimed", "stop it there first, or wait half a minute if that host has died just now",
			"disk %d: image %s is claimed by %s, whose client %s is still there", d, image, found.Claim, strings.Join(found.Watchers, ", "))
	case len(found.Clients) == 0:
		plan.Block(n.Name, "image-claimed", "bring that host back, or let Ceph keep all of its clients out and take the claim away by hand",
			"disk %d: image %s is claimed by %s, where nobody can be asked (%v), and its clients are not known", d, image, found.Claim, unknown)
	case !opts.BreakClaim:
		plan.Block(n.Name, "image-claimed", "if that host is dead, keep its client out: --break-claim",
			"disk %d: image %s is claimed by %s, where nobody can be asked (%v)", d, image, found.Claim, unknown)
	default:
		r.Fence = append(r.Fence, found.Claim.Token)
		plan.Destroys = append(plan.Destroys, fmt.Sprintf("what %s has not yet written to image %s: its client %s is kept out of the cluster",
			found.Claim, image, strings.Join(found.Clients, ", ")))
	}
}

// Why the holder of a claim can't be proven dead.
var (
	errNoNode    = errors.New("it is no node of the inventory")
	errOtherHost = errors.New("the node is another host now")
)

// prove asks the node of a claim's holder whether that is dead. Unknown is why it can't be asked.
func (s *Instances) prove(ctx context.Context, c *control.Cluster, claim *control.Claim, away map[string]error) (dead bool, unknown error) {
	n, ok := c.Node(claim.Node)
	switch {
	case !ok:
		return false, errNoNode
	case away[n.Name] != nil: // it was asked a moment ago
		return false, away[n.Name]
	}
	r := &guest.Request{RunDir: s.RunDir, Claims: []control.Claim{*claim}}
	var answer map[string]bool
	if err := s.call(ctx, n, guest.ActionProve, r, &answer, nil); err != nil {
		away[n.Name] = err
		return false, err
	}
	dead, ok = answer[claim.Token]
	if !ok {
		return false, errOtherHost
	}
	return dead, nil
}

// startStep is the step that starts an instance on its node, and remembers the node when it is another.
func (s *Instances) startStep(n control.Node, r *guest.Request, commands []string, moves bool, result *kvm.Status) control.Step {
	step := control.Step{ID: "start", Node: n.Name, Title: "start instance " + r.Instance.Name, Commands: commands}
	if moves {
		step.Commands = append(step.Commands, "inventory: instance "+r.Instance.Name+" on "+n.Name)
	}
	step.Do = func(ctx context.Context, progress func(string)) error {
		if !moves {
			return s.call(ctx, n, guest.ActionStart, r, result, progress)
		}
		inventory, err := keeper(s.Env)
		if err != nil {
			return err
		}
		release, err := s.Env.Store.Lock(ctx, "cephctl instance start --node "+n.Name+" "+r.Instance.Name)
		if err != nil {
			return err
		}
		defer release()
		if err := s.call(ctx, n, guest.ActionStart, r, result, progress); err != nil {
			return err
		}
		return inventory.MoveInstance(ctx, r.Instance.Name, n.Name)
	}
	return step
}

// whereText writes where an image is, always in the same order.
func whereText(where map[string]string) string {
	words := make([]string, 0, len(where))
	for _, name := range slices.Sorted(maps.Keys(where)) {
		words = append(words, name+"="+where[name])
	}
	return strings.Join(words, ",")
}

func masterOf(c *control.Cluster, n control.Node) string {
	if c.Master != "" {
		return c.Master
	}
	return n.Name
}
