package ganeti

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGuard sets both filters under the same names each time, and takes only those away that are ours.
func TestGuard(t *testing.T) {
	const uuid = "5f1a6c2e-0d5b-4a43-9a4a-2a5a0d0d9c11"
	f, r := newFake(t)
	i := New(&Site{}, r, nil)
	f.files["/2/groups/storage"] = `{"name": "storage", "uuid": "` + uuid + `"}`
	f.files["/2/groups"] = `[{"name": "storage", "uuid": "` + uuid + `"}, {"name": "other", "uuid": "x"}]`
	f.files["/2/filters"] = `[]`
	accept, reject := filterID(uuid, "accept"), filterID(uuid, "reject")
	for _, id := range []string{accept, reject} {
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
			t.Errorf("%s is no UUID", id)
		}
	}
	guarded := func(when string, want ...string) {
		t.Helper()
		if got, err := i.Guarded(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	guarded("before")
	if err := i.Guard(t.Context(), "storage"); err != nil {
		t.Fatal(err)
	}
	asked := strings.Join(f.asked, "\n")
	for _, want := range []string{
		"PUT /2/filters/" + accept, "PUT /2/filters/" + reject, `"action":"ACCEPT"`, `"action":"REJECT"`,
		`["reason",["=","reason","cephctl"]]`,
		`["opcode",["\u0026",["=","OP_ID","OP_GROUP_ASSIGN_NODES"],["|",["=","group_name","storage"],["=","group_name","` + uuid + `"]]]]`,
	} {
		if !strings.Contains(asked, want) {
			t.Errorf("not asked: %s in\n%s", want, asked)
		}
	}
	filters := func(name string, ids ...string) {
		list := `[{"uuid": "somebody's", "predicates": [["jobid", [">", "id", 1]]]}`
		for _, id := range ids {
			list += `, {"uuid": "` + id + `", "predicates": [["opcode", ["=", "group_name", "` + name + `"]]]}`
		}
		f.files["/2/filters"] = list + "]"
	}
	filters("storage", reject)
	guarded("with one of two")
	filters("old", reject, accept)
	guarded("with those of another name")
	filters("storage", reject, accept)
	guarded("with both", "storage")
	f.asked = nil
	if err := i.Unguard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if asked := strings.Join(f.asked, "\n"); len(f.asked) != 2 || !strings.Contains(asked, accept) || !strings.Contains(asked, reject) {
		t.Errorf("asked %s", asked)
	}
	f.files["/2/groups/storage/tags"], f.files["/2/groups/other/tags"], f.asked = `[]`, `[]`, nil
	if err := i.MarkGroup(t.Context(), "other", ""); err != nil || len(f.asked) != 0 {
		t.Errorf("another group is no storage group any more: %v, asked %q", err, f.asked)
	}
	if err := i.MarkGroup(t.Context(), "storage", ""); err != nil || len(f.asked) != 2 || !strings.Contains(f.asked[0], "DELETE /2/filters/") {
		t.Errorf("it is no storage group any more: %v, asked %q", err, f.asked)
	}
}
