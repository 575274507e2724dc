package cephstorage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// cephLine is a command of Ceph's for people.
func cephLine(args []string) string { return run.Quote(append([]string{"ceph"}, args...)) }

// cephLines are the lines of commands of Ceph's, for people.
func cephLines(commands [][]string) []string {
	lines := make([]string, len(commands))
	for i, c := range commands {
		lines[i] = cephLine(c)
	}
	return lines
}

// cephAll runs commands of Ceph's on the master, in order, to the first that fails.
func (s *Storage) cephAll(ctx context.Context, commands [][]string) error {
	for _, c := range commands {
		if _, err := s.ceph(ctx, c...); err != nil {
			return err
		}
	}
	return nil
}

// cephStep is a step that runs commands of Ceph's on the master, in order.
func (s *Storage) cephStep(v *view, id, title string, commands ...[]string) control.Step {
	return control.Step{
		ID: id, Node: v.master.Name, Title: title, Commands: cephLines(commands),
		Do: func(ctx context.Context, _ func(string)) error { return s.cephAll(ctx, commands) },
	}
}

// initStep is a step that sends a node the distributed storage object that build makes when its turn has come. What
// is shown comes from the object as far as it is known when the plan is made.
func (s *Storage) initStep(n control.Node, id, title string, known node.Object, before []string,
	build func(ctx context.Context) (node.Object, error),
) control.Step {
	return control.Step{
		ID: id, Node: n.Name, Title: title,
		Commands: append(before, node.InitCommands(known)...),
		Do: func(ctx context.Context, progress func(string)) error {
			object, err := build(ctx)
			if err != nil {
				return err
			}
			return s.call(ctx, n, nodeTimeout, "init", object, nil, progress)
		},
	}
}

// removeStep is a step that stops daemons on a node and, when the removal says so, takes away their data.
func (s *Storage) removeStep(n *nodeView, id, title string, removal node.Removal) control.Step {
	return control.Step{
		ID: id, Node: n.Name, Title: title, Commands: node.RemoveCommands(removal, n.osds()),
		Do: func(ctx context.Context, progress func(string)) error {
			return s.call(ctx, n.Node, nodeTimeout, node.ActionRemove, removal, nil, progress)
		},
	}
}

// tolerated is how many answers in a row may fail while something is waited for that takes hours: meanwhile, mons elect
// and mgrs change.
const tolerated = 20

// tolerate makes the first errors in a row something that is lacking.
func tolerate(done func(context.Context) (lack string, err error)) func(context.Context) (string, error) {
	failed := 0
	return func(ctx context.Context) (string, error) {
		lack, err := done(ctx)
		if err == nil {
			failed = 0
			return lack, nil
		}
		if failed++; failed < tolerated {
			return "no answer: " + reason(err), nil
		}
		return "", err
	}
}

// poll calls done again and again until it returns an empty text, which says what is lacking, or an error, or time
// is up.
func (s *Storage) poll(ctx context.Context, timeout time.Duration, progress func(string), done func(context.Context) (lack string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last := ""
	for {
		lack, err := done(ctx)
		if err == nil && lack == "" {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if lack != "" && lack != last && ctx.Err() == nil {
			progress("waiting: " + lack)
			last = lack
		}
		select {
		case <-time.After(s.Poll):
		case <-ctx.Done():
			if last == "" {
				return fmt.Errorf("wait: %w", context.Cause(ctx))
			}
			return fmt.Errorf("wait (%s): %w", last, context.Cause(ctx))
		}
	}
}

// authGet is the command that makes a key, or returns the one that is there.
func authGet(entity string, caps []string) []string {
	return append([]string{"auth", "get-or-create", entity}, caps...)
}

// keyring returns the keyring of an entity, and makes its key when there is none. One that may do something else by now
// stays as it is: instances of further pools, or what the admin has changed.
func (s *Storage) keyring(ctx context.Context, entity string, caps []string) (string, error) {
	out, err := s.ceph(ctx, authGet(entity, caps)...)
	if err != nil && strings.Contains(err.Error(), "does not match") {
		out, err = s.ceph(ctx, authGet(entity, nil)...)
	}
	if err != nil {
		return "", fmt.Errorf("get the key of %s: %w", entity, err)
	}
	return string(out), nil
}

// secret returns the key alone.
func (s *Storage) secret(ctx context.Context, entity string, caps []string) (string, error) {
	if _, err := s.keyring(ctx, entity, caps); err != nil {
		return "", err
	}
	out, err := s.ceph(ctx, "auth", "print-key", entity)
	if err != nil {
		return "", fmt.Errorf("read the key of %s: %w", entity, err)
	}
	return strings.TrimSpace(string(out)), nil
}

var (
	mgrCaps      = []string{"mon", "allow profile mgr", "osd", "allow *", "mds", "allow *"}
	osdCaps      = []string{"mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"}
	exporterCaps = []string{"mon", "allow r", "mgr", "allow r", "osd", "profile rbd-read-only"}
)

// instanceCaps are those of QEMU for the images of a pool.
func instanceCaps(pool string) []string {
	return []string{"mon", "profile rbd", "mgr", "profile rbd pool=" + pool, "osd", "profile rbd pool=" + pool}
}

func osdName(id int) string { return "osd." + strconv.Itoa(id) }

func keyringFile(entity string) string { return "ceph." + entity + ".keyring" }
