package rados

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whoever adds a command also says here that it is read-only and cheap. TestCommandsAreReadOnly asks the real mons
// and mgr for their word on it.
func TestCommands(t *testing.T) {
	want := []string{
		`mon {"detail":"detail","format":"json","prefix":"health"}`,
		`mon {"format":"json","prefix":"quorum_status"}`,
		`mon {"format":"json","prefix":"mon metadata"}`,
		`mon {"format":"json","prefix":"osd stat"}`,
		`mon {"format":"json","prefix":"osd dump"}`,
		`mon {"format":"json","prefix":"osd pool application get"}`,
		`mon {"format":"json","prefix":"osd tree"}`,
		`mon {"format":"json","prefix":"osd metadata"}`,
		`mon {"format":"json","prefix":"mgr stat"}`,
		`mon {"format":"json","prefix":"mgr dump"}`,
		`mon {"format":"json","prefix":"mgr metadata"}`,
		`mon {"format":"json","prefix":"fs dump"}`,
		`mon {"format":"json","prefix":"mds metadata"}`,
		`mon {"detail":"detail","format":"json","prefix":"df"}`,
		`mgr {"format":"json","prefix":"pg stat"}`,
		`mgr {"dumpcontents":["pools"],"format":"json","prefix":"pg dump"}`,
		`mgr {"dumpcontents":["pgs_brief"],"format":"json","prefix":"pg dump"}`,
		`mgr {"format":"json","prefix":"osd perf"}`,
		`mgr {"format":"json","prefix":"osd pool stats"}`,
		`mgr {"format":"json","prefix":"service dump"}`,
		`mgr {"format":"json","pool_spec":"","prefix":"rbd perf image counters"}`,
		`mgr {"format":"json","osd":0,"prefix":"pg ls-by-osd"}`,
	}
	var got []string
	for _, c := range Commands() {
		if !json.Valid([]byte(c.request)) {
			t.Errorf("%s is no JSON", c.request)
		}
		got = append(got, string(c.server)+" "+c.request)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
