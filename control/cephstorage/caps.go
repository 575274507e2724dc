package cephstorage

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// caps are what an entity may do, by the kind of daemon.
type caps map[string]string

// capsOf returns what an entity may do, or nil when there is none of this name. Its key is not kept.
func (s *Storage) capsOf(ctx context.Context, entity string) (caps, error) {
	var answer []struct {
		Caps caps `json:"caps"`
	}
	err := ask(ctx, s, &answer, "auth", "get", entity)
	var code interface{ ExitCode() int }
	if errors.As(err, &code) && code.ExitCode() == enoent {
		return nil, nil
	}
	if err != nil || len(answer) == 0 {
		return nil, err
	}
	return answer[0].Caps, nil
}

// enoent is the exit status of ceph for what does not exist.
const enoent = 2

// poolClause is what lets a client use the images of a pool.
func poolClause(pool string) string { return "profile rbd pool=" + pool }

// with returns the caps with the images of one more pool, or nil when they have these.
func (c caps) with(pool string) caps {
	all := caps{}
	changed := false
	for kind, text := range c {
		all[kind] = text
		clauses := strings.Split(text, ", ")
		limited := slices.ContainsFunc(clauses, func(clause string) bool { return strings.HasPrefix(clause, poolClause("")) })
		if limited && !slices.Contains(clauses, poolClause(pool)) && !slices.Contains(clauses, "profile rbd") {
			all[kind], changed = text+", "+poolClause(pool), true
		}
	}
	if !changed {
		return nil
	}
	return all
}

// without returns the caps without the images of a pool, or nil when they have none.
func (c caps) without(pool string) caps {
	all := caps{}
	changed := false
	for kind, text := range c {
		clauses := strings.Split(text, ", ")
		rest := keep(clauses, func(clause string) bool { return clause != poolClause(pool) })
		all[kind] = text
		if len(rest) > 0 && len(rest) < len(clauses) {
			all[kind], changed = strings.Join(rest, ", "), true
		}
	}
	if !changed {
		return nil
	}
	return all
}

// capsStep is a step that changes what instances may do.
func (s *Storage) capsStep(v *view, title string, c caps) control.Step {
	command := []string{"auth", "caps", instanceEntity}
	for _, kind := range []string{"mon", "mgr", "osd"} {
		if c[kind] != "" {
			command = append(command, kind, c[kind])
		}
	}
	return s.cephStep(v, "instance-caps", title, command)
}
