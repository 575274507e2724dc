package cephstorage

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Cancel gives up the operation that was begun and not finished, and gives OSDs back the weights that it took. What it
// has made or removed stays so: the text says how to go on from there.
func (s *Storage) Cancel(ctx context.Context) (text string, err error) {
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
	if err := s.restoreWeights(ctx, op); err != nil {
		return "", err
	}
	err = s.env.Store.Update(func(st *state.State) error {
		st.Operation = nil
		return nil
	})
	if err != nil {
		return "", err
	}
	return "given up: " + op.Command + "\n" + advice(op), nil
}

// restoreWeights puts OSDs that were taken out back in, as far as they are still there.
func (s *Storage) restoreWeights(ctx context.Context, op *state.Operation) error {
	if !hasWeights(op) {
		return nil
	}
	var m osdMap
	if err := ask(ctx, s, &m, "osd", "dump"); err != nil {
		return err
	}
	for key, weight := range op.Data {
		id, ok := strings.CutPrefix(key, "weight ")
		isThere := func(o osdInfo) bool { return numbers([]int{o.ID})[0] == id && !slices.Contains(o.State, "destroyed") }
		if !ok || !slices.ContainsFunc(m.OSDs, isThere) {
			continue
		}
		if _, err := s.ceph(ctx, "osd", "reweight", id, weight); err != nil {
			return err
		}
	}
	return nil
}

func hasWeights(op *state.Operation) bool {
	for key := range op.Data {
		if strings.HasPrefix(key, "weight ") {
			return true
		}
	}
	return false
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
