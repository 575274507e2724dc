package cephstorage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// removeMon takes the node's mon out of the map, and then stops and removes it.
func (b *builder) removeMon(l *leaving) {
	if l.mon {
		step := b.cephStep(b.v, "mon-out "+l.host(), "take mon."+l.host()+" out of the map", []string{"mon", "remove", l.host()})
		step.Check = func(ctx context.Context) error { return b.checkMajority(ctx, l.host()) }
		remove := step.Do
		stay := b.g.here(b.g.mons)
		step.Do = func(ctx context.Context, progress func(string)) error {
			if err := remove(ctx, progress); err != nil {
				return err
			}
			return b.waitQuorum(ctx, stay, progress)
		}
		b.step(step)
	}
	if l.mon || l.daemon(node.RoleMon, l.host()) != nil {
		b.removeDaemons(l, "mon "+l.host(), "stop and remove mon."+l.host(), node.Daemon{Role: node.RoleMon, ID: l.host()})
	}
}

// checkMajority reads the quorum again, right before a mon goes.
func (s *Storage) checkMajority(ctx context.Context, host string) error {
	var q quorum
	if err := ask(ctx, s, &q, "quorum_status"); err != nil {
		return err
	}
	if text := q.losing(host, nil); text != "" {
		return errors.New(text)
	}
	return nil
}

// waitQuorum returns when the mons that stay are in quorum.
func (s *Storage) waitQuorum(ctx context.Context, stay []string, progress func(string)) error {
	return s.poll(ctx, quorumTimeout, progress, func(ctx context.Context) (string, error) {
		var q quorum
		if err := ask(ctx, s, &q, "quorum_status"); err != nil {
			return "the mons elect a leader", nil //nolint:nilerr // while they elect, nobody answers; the poll is bounded
		}
		if missing := without(stay, q.Names); len(missing) > 0 {
			return "mon." + strings.Join(missing, ", mon.") + " not in quorum", nil
		}
		return "", nil
	})
}

// removeMgr stops the node's mgr and takes it away. Its data goes last, so that what was broken off before is done
// again.
func (b *builder) removeMgr(l *leaving) {
	if !l.mgr && l.daemon(node.RoleMgr, l.host()) == nil {
		return
	}
	mgr := node.Daemon{Role: node.RoleMgr, ID: l.host()}
	b.step(b.removeStep(l.nodeView, "stop mgr "+l.host(), "stop mgr."+l.host(), node.Removal{FSID: b.g.fsid, Daemons: []node.Daemon{mgr}}))
	b.step(b.forgetMgr(l.host()))
	b.removeDaemons(l, "mgr "+l.host(), "remove mgr."+l.host(), mgr)
}

// forgetMgr is a step that waits until another mgr is active, and takes the key of one away.
func (b *builder) forgetMgr(host string) control.Step {
	step := b.cephStep(b.v, "mgr-key "+host, "wait for another mgr, and take the key of mgr."+host+" away", []string{"auth", "del", "mgr." + host})
	remove := step.Do
	step.Do = func(ctx context.Context, progress func(string)) error {
		err := b.poll(ctx, quorumTimeout, progress, func(ctx context.Context) (string, error) {
			var m mgrMap
			if err := ask(ctx, b.Storage, &m, "mgr", "dump"); err != nil {
				return "", err
			}
			if !m.Available || m.Active == host {
				return "no other mgr is active", nil
			}
			return "", nil
		})
		if err != nil {
			return err
		}
		return remove(ctx, progress)
	}
	return step
}

// removeDaemons is a step on the leaving node that stops daemons and removes their data.
func (b *builder) removeDaemons(l *leaving, id, title string, daemons ...node.Daemon) {
	b.step(b.removeStep(l.nodeView, "remove "+id, title, node.Removal{FSID: b.g.fsid, Daemons: daemons, Data: true}))
}

// configureRest writes the new list of mons to the nodes that stay.
func (b *builder) configureRest() {
	for _, n := range b.g.members {
		if b.isConfigured(n) {
			continue
		}
		object := b.objectFor(n.host())
		step := b.initStep(n.Node, "conf "+n.host(), "write ceph.conf", object, nil,
			func(context.Context) (node.Object, error) { return object, nil })
		step.Together = "conf"
		b.step(step)
	}
	b.configureMaster()
}

// removeOSDs plans how the OSDs go. It tells whether they stay in the cluster, stopped.
func (b *builder) removeOSDs(l *leaving, opts OfflineOptions) (kept bool) {
	if len(l.osds) > 0 {
		if b.cannotHeal(l) != "" {
			b.stopOSDs(l)
			return true
		}
		b.empty(l, opts)
	}
	if all := slices.Concat(l.osds, l.unborn); len(all) > 0 {
		b.purge(l, all)
	}
	if len(l.halfMade) > 0 {
		b.step(b.removeStep(l.nodeView, "remove half made "+l.Name, "wipe the disks of OSDs that are half made",
			node.Removal{FSID: b.g.fsid, Data: true, HalfMade: l.halfMade}))
	}
	if all := slices.Concat(l.osds, l.stale); len(all) > 0 {
		b.removeDaemons(l, "osds "+l.Name, "remove the data of "+names(all), daemons(all)...)
	}
	if b.v.ceph.tree.hasHost(l.host()) {
		b.step(b.cephStep(b.v, "crush "+l.host(), "take host "+l.host()+" out of the CRUSH map", []string{"osd", "crush", "rm", l.host()}))
	}
	return false
}

// empty moves the data of OSDs to others and stops them: drained first, or with --no-drain stopped first.
func (b *builder) empty(l *leaving, opts OfflineOptions) {
	if opts.NoDrain {
		b.stopOSDs(l)
	}
	b.rememberWeights(l)
	b.step(b.cephStep(b.v, "out "+l.Name, "move the data of "+names(l.osds)+" to other OSDs",
		append([]string{"osd", "out"}, numbers(l.osds)...)))
	b.step(b.waitSafe(l))
	if !opts.NoDrain {
		b.stopOSDs(l)
	}
}

// keyWeight and the number of an OSD is where an operation remembers its weight.
const keyWeight = "weight "

// rememberWeights keeps what a cancel restores.
func (b *builder) rememberWeights(l *leaving) {
	for _, id := range l.osds {
		if o := b.v.ceph.osds.osd(id); o != nil {
			b.g.memory.Keep(keyWeight+strconv.Itoa(id), func() string { return strconv.FormatFloat(o.Weight, 'g', -1, 64) })
		}
	}
}

// stopOSDs stops OSDs, after one more joint answer that this is right.
func (b *builder) stopOSDs(l *leaving) {
	up := slices.DeleteFunc(slices.Clone(l.osds), func(id int) bool { return !l.isRunning(node.RoleOSD, strconv.Itoa(id)) })
	if len(up) == 0 {
		return
	}
	step := b.removeStep(l.nodeView, "stop "+l.Name, "stop "+names(up), node.Removal{FSID: b.g.fsid, Daemons: daemons(up)})
	step.Commands = append([]string{cephLine(append([]string{"osd", "ok-to-stop"}, numbers(up)...))}, step.Commands...)
	step.Check = func(ctx context.Context) error {
		return b.settled(ctx, func(ctx context.Context) error { return b.okToStop(ctx, up) })
	}
	b.step(step)
}

// settled asks the mons until they say yes. Where data has just moved, or an OSD has stopped, they say no for some seconds.
func (s *Storage) settled(ctx context.Context, ask func(context.Context) error) error {
	return s.poll(ctx, s.Settle, func(string) {}, func(ctx context.Context) (string, error) { return notYet(ask(ctx)) })
}

// waitSafe waits for as long as it takes until nothing needs the OSDs any more. EAGAIN is not a yes.
func (b *builder) waitSafe(l *leaving) control.Step {
	argv := append([]string{"osd", "safe-to-destroy"}, numbers(l.osds)...)
	return control.Step{
		ID: "safe " + l.Name, Node: b.v.master.Name, Title: "wait until nothing needs " + names(l.osds),
		Commands: []string{cephLine(argv) + "    # again and again, for as long as it takes"},
		Do: func(ctx context.Context, progress func(string)) error {
			return b.poll(ctx, drainTimeout, progress, tolerate(func(ctx context.Context) (string, error) {
				_, err := b.ceph(ctx, argv...)
				return notYet(err)
			}))
		},
	}
}

// drainTimeout ends a drain that goes on for days. Running the same command again goes on with it.
const drainTimeout = 7 * 24 * time.Hour

// Exit codes of the command `ceph`, which are those of the mons' answers.
const (
	exitAgain = 11 // EAGAIN: not all is known yet
	exitBusy  = 16 // EBUSY: no
)

// notYet tells a "no" and a "not known yet" of the mons from an error.
func notYet(err error) (lack string, _ error) {
	if err == nil {
		return "", nil
	}
	if code := exitCode(err); code == exitAgain || code == exitBusy {
		return reason(err), nil
	}
	return "", err
}

// exitCode returns how a command has ended, or -1 when it has not run to its end.
func exitCode(err error) int {
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// reason returns what Ceph says in an error, without what was run.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "Error E"); i >= 0 {
		text = text[i:]
		if _, after, ok := strings.Cut(text, ": "); ok {
			text = after
		}
	}
	return strings.TrimSpace(text)
}

// purge takes OSDs out of the cluster: the map, the CRUSH map, and their keys.
func (b *builder) purge(l *leaving, ids []int) {
	var commands [][]string
	for _, id := range ids {
		commands = append(commands, []string{"osd", "purge", strconv.Itoa(id), "--yes-i-really-mean-it"})
	}
	step := b.cephStep(b.v, "purge "+l.Name, "take "+names(ids)+" out of the cluster", commands...)
	step.Check = func(ctx context.Context) error {
		if err := b.settled(ctx, func(ctx context.Context) error { return b.safeToDestroy(ctx, ids) }); err != nil {
			return fmt.Errorf("it is no longer safe: %w", err)
		}
		return nil
	}
	b.step(step)
}

// safeToDestroy asks whether OSDs can go for good. OSDs that are no longer in the map can.
func (s *Storage) safeToDestroy(ctx context.Context, ids []int) error {
	var m osdMap
	if err := ask(ctx, s, &m, "osd", "dump"); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return m.osd(id) == nil })
	if len(left) == 0 {
		return nil
	}
	_, err := s.ceph(ctx, append([]string{"osd", "safe-to-destroy"}, numbers(left)...)...)
	return err
}

// leave takes away what is left on the node, and marks it.
func (b *builder) leave(l *leaving, kept bool) {
	stays := kept || l.Name == b.v.master.Name
	if !stays && (l.facts.Conf != nil || len(l.facts.Keyrings) > 0) {
		b.step(b.removeStep(l.nodeView, "clean "+l.Name, "remove ceph.conf, the keyrings and what cephctl has put there",
			node.Removal{FSID: b.g.fsid, Everything: true}))
	}
	mark := ""
	if kept {
		mark = Name
	}
	if !l.Offline || l.Mark != mark {
		if stays {
			b.step(b.info(l.nodeView, mark, []string{}))
		}
		b.step(b.setOffline(l.Node, mark))
	}
}

func names(ids []int) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = osdName(id)
	}
	return strings.Join(out, ", ")
}

func daemons(ids []int) []node.Daemon {
	out := make([]node.Daemon, len(ids))
	for i, id := range ids {
		out[i] = node.Daemon{Role: node.RoleOSD, ID: strconv.Itoa(id)}
	}
	return out
}
