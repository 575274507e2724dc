package ganeti

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// No hook of Ganeti's can refuse that nodes are assigned to a group, but a job filter can: one for each rule, with a
// UUID that follows from the group's, so that setting it again changes nothing.
const (
	// filterPriority is that of the filter that lets cephctl's own jobs pass; that of the one that rejects is one more.
	filterPriority = 100
	assignNodes    = "OP_GROUP_ASSIGN_NODES"

	acceptRule = "accept"
	rejectRule = "reject"
)

// Guard has Ganeti reject jobs that assign nodes to a group, but for those of cephctl.
func (i *Inventory) Guard(ctx context.Context, name string) error {
	var g Group
	if err := i.get(ctx, groupPath(name), &g); err != nil {
		return err
	}
	opcode := []any{"opcode", []any{
		"&",
		[]any{"=", "OP_ID", assignNodes},
		[]any{"|", []any{"=", "group_name", g.Name}, []any{"=", "group_name", g.UUID}},
	}}
	if err := i.setFilter(ctx, filterID(g.UUID, acceptRule), filterPriority, "ACCEPT", []any{
		[]any{"reason", []any{"=", "reason", Reason}}, opcode,
	}); err != nil {
		return err
	}
	return i.setFilter(ctx, filterID(g.UUID, rejectRule), filterPriority+1, "REJECT", []any{opcode})
}

func (i *Inventory) setFilter(ctx context.Context, id string, priority int, action string, predicates []any) error {
	body := map[string]any{
		"priority": priority, "predicates": predicates, "action": action,
		"reason": []any{[]any{Reason, "nodes of the storage group are assigned by cephctl group assign-nodes", 0}},
	}
	if err := i.rapi.request(ctx, http.MethodPut, "/2/filters/"+id, nil, body, new(any)); err != nil {
		return fmt.Errorf("set Ganeti's job filter: %w", err)
	}
	return nil
}

// Unguard takes the filters of all groups away.
func (i *Inventory) Unguard(ctx context.Context) error {
	return i.unguard(ctx, func(*Group) bool { return true })
}

// unguard takes the filters of some groups away.
func (i *Inventory) unguard(ctx context.Context, of func(*Group) bool) error {
	groups, there, err := i.groupsAndFilters(ctx)
	if err != nil {
		return err
	}
	jobs, ctx := errgroup.WithContext(ctx)
	for n := range groups {
		if !of(&groups[n]) {
			continue
		}
		for _, id := range groups[n].filters() {
			if there[id] == "" {
				continue
			}
			jobs.Go(func() error {
				if err := i.rapi.request(ctx, http.MethodDelete, "/2/filters/"+id, nil, nil, new(any)); err != nil {
					return fmt.Errorf("remove Ganeti's job filter: %w", err)
				}
				return nil
			})
		}
	}
	return jobs.Wait()
}

// Guarded returns the names of the groups of which both filters are there. Those of a group that was called otherwise when they
// were set let jobs pass that name it as it is called now.
func (i *Inventory) Guarded(ctx context.Context) ([]string, error) {
	groups, there, err := i.groupsAndFilters(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range groups {
		lacks := func(id string) bool { return !strings.Contains(there[id], jsonText(g.Name)) }
		if !slices.ContainsFunc(g.filters(), lacks) {
			names = append(names, g.Name)
		}
	}
	return names, nil
}

// filters are the UUIDs of the two filters of a group.
func (g *Group) filters() []string {
	return []string{filterID(g.UUID, acceptRule), filterID(g.UUID, rejectRule)}
}

// groupsAndFilters returns all groups, and what all job filters are about, by their UUIDs.
func (i *Inventory) groupsAndFilters(ctx context.Context) (groups []Group, filters map[string]string, err error) {
	if err := i.rapi.get(ctx, "/2/groups", url.Values{"bulk": {"1"}}, &groups); err != nil {
		return nil, nil, fmt.Errorf("read Ganeti's groups: %w", err)
	}
	var list []struct {
		UUID       string          `json:"uuid"`
		Predicates json.RawMessage `json:"predicates"`
	}
	if err := i.rapi.get(ctx, "/2/filters", url.Values{"bulk": {"1"}}, &list); err != nil {
		return nil, nil, fmt.Errorf("read Ganeti's job filters: %w", err)
	}
	filters = make(map[string]string)
	for _, f := range list {
		filters[f.UUID] = string(f.Predicates)
	}
	return groups, filters, nil
}

// filterID makes a UUID of a group's and the name of a rule.
func filterID(group, rule string) string {
	h := sha256.Sum256([]byte("cephctl " + rule + " " + group))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8: made in a way of one's own
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
