package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// me returns the claim of an instance by this process.
func (h Handler) me(r *Request) (control.Claim, error) {
	host, machine, err := h.identity()
	if err != nil {
		return control.Claim{}, err
	}
	boot, err := h.boot()
	if err != nil {
		return control.Claim{}, err
	}
	agent, err := kvm.ReadProcess(h.path("proc"), os.Getpid())
	if err != nil {
		return control.Claim{}, err
	}
	return control.Claim{
		Token: rand.Text(), Instance: r.Instance.Name, UUID: r.Instance.UUID, Node: r.Instance.Node,
		Host: host, Machine: machine, Boot: boot, Agent: agent.String(), Since: time.Now().UTC().Round(time.Second),
	}, nil
}

// identity returns what tells this host from others: two may have one name, and two that were cloned one machine id.
func (h Handler) identity() (host, machine string, err error) {
	if host, err = os.Hostname(); err != nil {
		return "", "", fmt.Errorf("find the name of this host: %w", err)
	}
	machine, err = readText(h.path("etc/machine-id"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("tell this host from others: %w", err)
	}
	return host, machine, nil
}

// wasHere tells whether the holder of a claim was on this host.
func (h Handler) wasHere(c *control.Claim) (bool, error) {
	host, machine, err := h.identity()
	return err == nil && c.Host == host && c.Machine == machine, err
}

func (h Handler) boot() (string, error) {
	boot, err := readText(h.path("proc/sys/kernel/random/boot_id"))
	if err != nil {
		return "", fmt.Errorf("tell this boot from others: %w", err)
	}
	return boot, nil
}

// isDead tells whether the holder of a claim on an image is proven dead: it was on this host, and neither the QEMU lives that it
// was made for, nor the process that was to start one, nor the block device that it was made for, and nothing of the image is
// mounted. To its own instance the block device gives way.
func (h Handler) isDead(r *Request, c *control.Claim, state control.ImageState) (bool, error) {
	if here, err := h.wasHere(c); err != nil || !here {
		return false, err
	}
	boot, err := h.boot()
	if err != nil || c.Boot != boot {
		return err == nil, err
	}
	if c.Devices && c.UUID == r.Instance.UUID {
		return true, nil
	}
	pid, _, _ := strings.Cut(c.Agent, ".")
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false, fmt.Errorf("read the claim of %s: %q is no process", c.Instance, c.Agent)
	}
	if now, err := kvm.ReadProcess(h.path("proc"), n); err == nil && now.String() == c.Agent {
		return false, nil
	}
	if c.Devices {
		return state.Mapped == "" || state.Foreign, nil
	}
	lives, err := h.qemu(r).Lives(c.UUID)
	return err == nil && !lives && !state.InUse, err
}

// prove says of those claims whose holders were on this host whether these are proven dead, by their tokens.
func (h Handler) prove(ctx context.Context, r *Request) (map[string]bool, error) {
	if len(r.Claims) != len(r.Disks) {
		return nil, fmt.Errorf("there are %d claims on %d disks", len(r.Claims), len(r.Disks))
	}
	dead := make(map[string]bool)
	for i := range r.Claims {
		c := &r.Claims[i]
		here, err := h.wasHere(c)
		if err == nil && here {
			dead[c.Token], err = h.proveOne(ctx, r, c, r.Disks[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return dead, nil
}

// proveOne wants the block device of the image, if there is one, to be among the clients of the claim, too, which another node is
// going to keep out: it was not when its start was killed.
func (h Handler) proveOne(ctx context.Context, r *Request, c *control.Claim, d control.DiskSpec) (bool, error) {
	host, err := h.disk(d)
	if err != nil {
		return false, err
	}
	state, err := host.Look(ctx, d)
	if err != nil {
		return false, err
	}
	if state.Mapped != "" && !slices.Contains(state.Clients, state.MappedBy) {
		return false, nil
	}
	return h.isDead(r, c, state)
}

// claim makes the instance the one who may write to a disk. A claim of somebody who is proven dead, or who is to be fenced,
// is taken away first, and with it what its clients could still write.
func (h Handler) claim(ctx context.Context, r *Request, d control.DiskSpec, me control.Claim) error {
	host, err := h.disk(d)
	if err != nil {
		return err
	}
	err = host.Claim(ctx, d, me)
	if errors.Is(err, control.ErrClaimed) {
		if err := h.takeAway(ctx, r, host, d); err != nil {
			return err
		}
		err = host.Claim(ctx, d, me)
	}
	if errors.Is(err, control.ErrClaimed) {
		return h.heldBy(ctx, host, d, err)
	}
	if err != nil {
		return err
	}
	if err := h.awaitAlone(ctx, host, d); err != nil {
		return withUndo(err, host.Release(context.WithoutCancel(ctx), d, me.Token))
	}
	return nil
}

// takeAway takes a claim away whose holder is dead, or does nothing.
func (h Handler) takeAway(ctx context.Context, r *Request, host control.DiskHost, d control.DiskSpec) error {
	state, err := host.Look(ctx, d)
	if err != nil || state.Claim == nil {
		return err
	}
	dead, err := h.isDead(r, state.Claim, state)
	if err != nil {
		return err
	}
	token := state.Claim.Token
	fence := slices.Contains(r.Fence, token)
	if !dead && !fence && !slices.Contains(r.Dead, token) {
		return nil
	}
	switch {
	case fence && len(state.Clients) == 0:
		return errors.New("the clients of the claim are not known, so they can't be kept out")
	case fence && len(state.Strangers()) > 0:
		return fmt.Errorf("disk %d: client %s, which was gone, is there again", d.Index, strings.Join(state.Strangers(), ", "))
	}
	// Elsewhere, a block device may outlive its guest, have lost the cluster for now, and write when it is back. This node's own,
	// kept out, would do nothing any more but to fail.
	clients := control.Strangers(state.Clients, state.MappedBy)
	if !fence && dead { // on this host: only those that are left, as what is dead writes nothing
		clients = slices.DeleteFunc(clients, func(c string) bool { return !slices.Contains(state.Watchers, c) })
	}
	// The clients were asked for after the claim. They are its own as long as nobody was faster, whose own they would be.
	if state, err = host.Look(ctx, d); err != nil || state.Claim == nil || state.Claim.Token != token {
		return err
	}
	if err := host.Fence(ctx, d, clients); err != nil {
		return err
	}
	return host.Release(ctx, d, token)
}

// heldBy adds to an error who has the claim.
func (h Handler) heldBy(ctx context.Context, host control.DiskHost, d control.DiskSpec, err error) error {
	state, lookErr := host.Look(ctx, d)
	if lookErr != nil || state.Claim == nil {
		return fmt.Errorf("disk %d: %w by somebody who was faster", d.Index, err)
	}
	return fmt.Errorf("disk %d: %w by %s", d.Index, err, state.Claim)
}

const (
	// aloneTimeout is what the cluster has to forget the clients of somebody who was fenced.
	aloneTimeout = 15 * time.Second
	alonePoll    = 500 * time.Millisecond
)

// awaitAlone wants nobody to have an image open that is claimed: who does not claim writes all the same.
func (h Handler) awaitAlone(ctx context.Context, host control.DiskHost, d control.DiskSpec) error {
	ctx, cancel := context.WithTimeout(ctx, aloneTimeout)
	defer cancel()
	for {
		all, own, err := host.Watchers(ctx, d)
		if err != nil {
			return err
		}
		others := control.Strangers(all, own)
		if len(others) == 0 {
			return nil
		}
		select {
		case <-time.After(alonePoll):
		case <-ctx.Done():
			return fmt.Errorf("disk %d: image %s is open elsewhere, by client %s", d.Index, d.Image, strings.Join(others, ", "))
		}
	}
}
