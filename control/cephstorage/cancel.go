package cephstorage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Cancel gives up the operation that was begun and not finished, and takes back what it has changed in the cluster for a
// while. What it has made or removed stays so: the text says how to go on from there. With force it is given up although the
// cluster does not answer; then the text also says what to take back by hand.
func (s *Storage) Cancel(ctx context.Context, force bool) (text string, err error) {
	release, err := s.env.Store.Lock(ctx, "cephctl storage cancel")
	if err != nil {
		return "", err
	}
	defer release()
	st, err := s.env.Store.Load()
	if err != nil {
		return "", err
	}
	op := st.Operation
	if op == nil {
		return "nothing was begun that is not finished", nil
	}
	byHand := ""
	switch err := s.takeBack(ctx, op); {
	case err != nil && !force:
		return "", fmt.Errorf("%w\nto give it up all the same: cephctl storage cancel --force", err)
	case err != nil:
		commands := takingBack(op, func(string) bool { return true }) // nobody can say which are not
		byHand = "\nthe cluster did not do this: " + strings.Join(cephLines(commands), "; ")
	}
	err = s.env.Store.Update(func(st *state.State) error {
		st.Operation = nil
		return nil
	})
	if err != nil {
		return "", err
	}
	return "given up: " + op.Command + byHand + "\n" + advice(op), nil
}

// takeBack undoes what an operation changes for a while: weights of OSDs, as far as these are still there, and that pools can
// be removed. What goes with a pool that is gone already goes, too: nothing else would find it any more.
func (s *Storage) takeBack(ctx context.Context, op *state.Operation) error {
	var m osdMap
	if len(weights(op)) > 0 {
		if err := ask(ctx, s, &m, "osd", "dump"); err != nil {
			return err
		}
	}
	err := s.cephAll(ctx, takingBack(op, func(id string) bool {
		return slices.ContainsFunc(m.OSDs, func(o osdInfo) bool {
			return numbers([]int{o.ID})[0] == id && !slices.Contains(o.State, "destroyed")
		})
	}))
	if err != nil || op.Kind != kindPoolRemove {
		return err
	}
	return s.clearPool(ctx, op.Target, op.Data[keyRule])
}

// clearPool takes away what goes with a pool, if that is gone.
func (s *Storage) clearPool(ctx context.Context, name, rule string) error {
	c, err := s.observeCeph(ctx)
	if err != nil || c.osds.pool(name) != nil {
		return err
	}
	st, err := s.env.Store.Load()
	if err != nil {
		return err
	}
	v := &view{ceph: c, master: &nodeView{}}
	if own := st.Storage[Name]; own != nil {
		v.state = *own
	}
	plan := &control.Plan{}
	if err := s.afterPool(ctx, plan, v, name, rule); err != nil {
		return err
	}
	for _, step := range plan.Steps {
		if err := step.Do(ctx, func(string) {}); err != nil {
			return fmt.Errorf("%s: %w", step.Title, err)
		}
	}
	return nil
}

// takingBack are the commands that undo it, for the OSDs that are there.
func takingBack(op *state.Operation, isThere func(id string) bool) [][]string {
	var commands [][]string
	if op.Kind == kindPoolRemove {
		commands = append(commands, restoreDelete(op.Data[keyPoolDelete]))
	}
	weights := weights(op)
	for _, id := range slices.Sorted(maps.Keys(weights)) {
		if isThere(id) {
			commands = append(commands, []string{"osd", "reweight", id, weights[id]})
		}
	}
	return commands
}

// weights are those that an operation has taken from OSDs, by their numbers.
func weights(op *state.Operation) map[string]string {
	all := map[string]string{}
	for key, weight := range op.Data {
		if id, ok := strings.CutPrefix(key, keyWeight); ok {
			all[id] = weight
		}
	}
	return all
}

// advice says how to go on from where an operation was given up.
func advice(op *state.Operation) string {
	switch op.Kind {
	case "offline":
		return "to have all daemons of " + op.Target + " back: cephctl node add --readd " + op.Target
	case "init-distributed-storage":
		return "to go on all the same: " + op.Command + "\nto begin anew, take down what was made: cephctl storage destroy"
	case "node-add", "node-readd":
		return "to have it in: cephctl node add --readd " + op.Target + "\nto have it out: cephctl node modify --offline=yes " + op.Target
	case "instance-add":
		if images := imagesOf(op); len(images) > 0 {
			return "images that were made for it stay; to remove one: rbd rm IMAGE\n  " + strings.Join(images, "\n  ")
		}
	case "instance-remove":
		return "what is left of it: cephctl instance info " + op.Target
	}
	return "see what is lacking: cephctl storage status"
}

// imagesOf returns the images that the addition of an instance was to make, as rbd takes them.
func imagesOf(op *state.Operation) []string {
	var i control.Instance
	if err := json.Unmarshal([]byte(op.Data["instance"]), &i); err != nil {
		return nil // it has not got so far
	}
	var images []string
	for _, d := range i.Disks {
		if d.Made {
			images = append(images, ceph.Image{Pool: d.Where[ParamPool], Namespace: d.Where[ParamNamespace], Name: d.Image}.String())
		}
	}
	return images
}
