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
	// Access is that of the disks from now on; what holds already when empty.
	Access string
	// Map asks for local block devices beside.
	Map bool
	// AllowLoopback takes the risk that the node hangs on its own OSDs.
	AllowLoopback bool
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
	if m := s.manager(); m != nil {
		return s.planManagedStart(ctx, m, name, opts, result)
	}
	c, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	p := &startPlan{Instances: s, plan: &control.Plan{Title: "start instance " + name}, site: c, opts: opts, away: map[string]error{}}
	i, moves, err := p.place(ctx, name)
	if err != nil || len(p.plan.Blockers) > 0 {
		return p.plan, err
	}
	if p.request, err = s.request(c, i, opts.Map); err != nil {
		return nil, err
	}
	access, err := s.accessStep(p.plan, c, p.node, opts.Access, p.request)
	if err != nil {
		return nil, err
	}
	p.request.Start = true
	l, err := s.lookAt(ctx, p.node, p.request)
	if err != nil {
		return nil, err
	}
	if image := l.Lost(p.request); image != "" {
		p.plan.Block(p.node.Name, "guest-fenced", "cephctl instance stop --timeout 0s --node "+p.node.Name+" "+name,
			"a guest of instance %s runs there that has lost image %s: its claim was taken away", name, image)
		return p.plan, nil
	}
	if l.Guest != nil {
		runsAlready(p.plan, p.request, l, access, result)
		if step := s.rememberStep(p.node, p.request, l, result); step != nil {
			p.plan.Steps = append(p.plan.Steps, *step)
		}
		if moves { // a start there was broken off before it was noted
			p.plan.Steps = append(p.plan.Steps, s.moveStep(p.node, p.request, l, result))
		}
		return p.plan, nil
	}
	p.plan.Blockers = append(p.plan.Blockers, l.Blockers...)
	for d := range l.Disks {
		p.checkDisk(ctx, d, &l.Disks[d])
	}
	if len(p.plan.Blockers) == 0 {
		if access != nil {
			p.plan.Steps = append(p.plan.Steps, *access)
		}
		p.plan.Steps = append(p.plan.Steps, s.startStep(p.node, p.request, l.Commands, moves, result))
	}
	return p.plan, nil
}

// startPlan is the plan of a start that is being made.
type startPlan struct {
	*Instances
	plan    *control.Plan
	site    *site
	node    control.Node
	request *guest.Request
	opts    StartOptions
	// away are the nodes that did not answer: each is asked once.
	away map[string]error
}

// place returns the instance as it is to run, and whether it moves to another node for that.
func (p *startPlan) place(ctx context.Context, name string) (i control.Instance, moves bool, err error) {
	if i, p.node, err = find(p.site, name, p.opts.Node); err != nil {
		return i, false, err
	}
	known, _ := p.site.Instance(name)
	old := known.Node
	switch {
	case p.node.Offline:
		p.plan.Block(p.node.Name, "node-offline", "start it on another: --node NODE", "is offline")
	case i.Node != old:
		p.blockRunning(ctx, i, old)
	}
	return i, i.Node != old, nil
}

// blockRunning adds a blocker when an instance runs on the node that it is to leave. When that node does not answer, the
// claims on its disks decide.
func (p *startPlan) blockRunning(ctx context.Context, i control.Instance, node string) {
	n, ok := p.site.Node(node)
	if !ok {
		return
	}
	l, err := p.lookAt(ctx, n, &guest.Request{Instance: i, RunDir: p.runDir()})
	switch {
	case errors.Is(err, control.ErrUnreachable):
		p.away[node] = err
	case err == nil && l.Guest != nil:
		p.plan.Block(node, "instance-running", "stop it first: cephctl instance stop "+i.Name, "instance %s runs there", i.Name)
	}
}

// checkDisk adds what the image of a disk and those who have it say against a start, and to the request whose claims may
// be taken away.
func (p *startPlan) checkDisk(ctx context.Context, d int, found *guest.DiskLook) {
	image := p.request.Disks[d].Image
	p.checkRisk(d, found)
	others := slices.DeleteFunc(found.Strangers(), func(w string) bool {
		return found.Claim != nil && slices.Contains(found.Clients, w)
	})
	switch {
	case found.Problem != nil:
		p.plan.Blockers = append(p.plan.Blockers, *found.Problem)
	case !found.Exists:
		noImage(p.plan, p.node, p.request, d, image)
	case found.Foreign:
		deviceForeign(p.plan, p.node, d, image, found)
	case found.InUse:
		deviceInUse(p.plan, p.node, d, image, found)
	case len(others) > 0:
		imageInUse(p.plan, p.node, d, image, others)
	case found.Claim != nil && !found.Dead:
		p.checkClaim(ctx, d, found)
	}
}

// checkRisk adds what may come of opening a disk on the node.
func (p *startPlan) checkRisk(d int, found *guest.DiskLook) {
	var first []string
	if p.opts.Map {
		first = append(first, "leave out --map")
	}
	checkRisk(p.plan, p.node, d, found, p.opts.AllowLoopback, first, []string{"start it on a node without OSDs of that pool: --node NODE"})
}

// checkClaim adds what a claim that is not proven dead on the node itself says against a start.
func (p *startPlan) checkClaim(ctx context.Context, d int, found *guest.DiskLook) {
	image := p.request.Disks[d].Image
	block := func(cure, format string, args ...any) {
		text := fmt.Sprintf("disk %d: image %s is claimed by %s", d, image, found.Claim) + fmt.Sprintf(format, args...)
		p.plan.Block(p.node.Name, "image-claimed", cure, "%s", text)
	}
	dead, unknown := p.prove(ctx, found.Claim, p.request.Disks[d])
	switch {
	case unknown == nil && dead:
		p.request.Dead = append(p.request.Dead, found.Claim.Token)
		if len(found.Strangers()) > 0 {
			p.plan.Note("client %s on %s is kept out of the cluster: a block device of image %s that is left there goes with \"cephctl instance stop --node %s %s\"",
				strings.Join(found.Strangers(), ", "), found.Claim.Node, image, found.Claim.Node, found.Claim.Instance)
		}
	case unknown == nil && found.Claim.Devices:
		block("take it away there first: cephctl instance deactivate-disks "+found.Claim.Instance, ", which is there")
	case unknown == nil:
		block("stop it there first", ", which runs or is being started")
	case len(found.Strangers()) > 0:
		block("stop it there first, or wait half a minute if that host has died just now",
			", whose client %s is still there", strings.Join(found.Strangers(), ", "))
	case len(found.Clients) == 0:
		block("bring that host back, or let Ceph keep all of its clients out and take the claim away by hand",
			", where nobody can be asked (%v), and its clients are not known", unknown)
	case !p.opts.BreakClaim:
		block("if that host is dead, keep its client out: --break-claim", ", where nobody can be asked (%v)", unknown)
	default:
		p.request.Fence = append(p.request.Fence, found.Claim.Token)
		p.plan.Destroys = append(p.plan.Destroys, fmt.Sprintf("what %s has not yet written to image %s: its client %s is kept out of the cluster",
			found.Claim, image, strings.Join(found.Clients, ", ")))
	}
}

// Why the holder of a claim can't be proven dead.
var (
	errNoNode    = errors.New("it is no node of the inventory")
	errOtherHost = errors.New("the node is another host now")
)

// prove asks the node of a claim's holder whether that is dead. Unknown is why it can't be asked.
func (p *startPlan) prove(ctx context.Context, claim *control.Claim, d control.DiskSpec) (dead bool, unknown error) {
	n, ok := p.site.Node(claim.Node)
	switch {
	case !ok:
		return false, errNoNode
	case p.away[n.Name] != nil:
		return false, p.away[n.Name]
	}
	r := &guest.Request{RunDir: p.runDir(), Claims: []control.Claim{*claim}, Disks: []control.DiskSpec{d}}
	var answer map[string]bool
	if err := p.call(ctx, n, guest.ActionProve, r, &answer, nil); err != nil {
		p.away[n.Name] = err
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
	step.Do = func(ctx context.Context, progress func(string)) error {
		start := func() error { return s.call(ctx, n, guest.ActionStart, r, result, progress) }
		if !moves {
			return start()
		}
		return s.move(ctx, n, r, start)
	}
	if moves {
		step.Commands = append(step.Commands, moveText(n, r))
	}
	return step
}

// moveStep is the step that remembers on which node an instance runs already. Result is filled in with what the guest says.
func (s *Instances) moveStep(n control.Node, r *guest.Request, l *guest.Look, result *kvm.Status) control.Step {
	return control.Step{
		ID: "move", Node: n.Name, Title: "keep instance " + r.Instance.Name + " on " + n.Name, Commands: []string{moveText(n, r)},
		Do: func(ctx context.Context, _ func(string)) error {
			*result = *l.Guest
			return s.move(ctx, n, r, func() error { return nil })
		},
	}
}

// moveText says what a move changes, for people.
func moveText(n control.Node, r *guest.Request) string {
	return "inventory: instance " + r.Instance.Name + " on " + n.Name
}

// move does something on the node that an instance is to be on, and then remembers the node, in one lock.
func (s *Instances) move(ctx context.Context, n control.Node, r *guest.Request, first func() error) error {
	inventory, err := keeper(s.Env, "gnt-instance migrate -n "+n.Name+" "+r.Instance.Name)
	if err != nil {
		return err
	}
	release, err := s.Env.Store.Lock(ctx, "cephctl instance start --node "+n.Name+" "+r.Instance.Name)
	if err != nil {
		return err
	}
	defer release()
	if err := first(); err != nil {
		return err
	}
	return inventory.MoveInstance(ctx, r.Instance.Name, n.Name)
}

// whereText writes where an image is, always in the same order.
func whereText(where map[string]string) string {
	words := make([]string, 0, len(where))
	for _, name := range slices.Sorted(maps.Keys(where)) {
		words = append(words, name+"="+where[name])
	}
	return strings.Join(words, ",")
}

func masterOf(c *site, n control.Node) string {
	if c.Master != "" {
		return c.Master
	}
	return n.Name
}
