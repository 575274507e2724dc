package agent_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

func TestRead(t *testing.T) {
	const result = `{"kind":"result","data":{"a":1}}` + "\n"
	tests := []struct {
		name, in, want, err string
		is                  error
		kinds               []string
	}{
		{name: "result", in: greeting + result, want: `{"a":1}`, kinds: []string{"hello"}},
		{
			name: "events", in: greeting + `{"kind":"run","text":"ceph -s"}` + "\n" + `{"kind":"later"}` + "\n" + result,
			want: `{"a":1}`, kinds: []string{"hello", "run", "later"},
		},
		{name: "no data", in: greeting + `{"kind":"result"}`, kinds: []string{"hello"}},
		{name: "motd", in: "Welcome!\n\n{}\n" + greeting + result, want: `{"a":1}`, kinds: []string{"hello"}},
		{name: "motd without an end of line", in: "$ " + greeting + result, want: `{"a":1}`, kinds: []string{"hello"}},
		{name: "error", in: greeting + `{"kind":"error","text":"no space"}`, err: "no space", kinds: []string{"hello"}},
		{name: "nothing", is: agent.ErrNoHello, err: "no cephctl node-agent has answered"},
		{
			name: "only noise", in: "This account is \x1b[1mclosed\n", is: agent.ErrNoHello,
			err: `no cephctl node-agent has answered, but this: "This account is \x1b[1mclosed"`,
		},
		{
			name: "too much noise", in: strings.Repeat("0123456789\n", 1<<13) + greeting + result, is: agent.ErrNoHello,
			err: `no cephctl node-agent has answered, but this: "` + strings.Repeat(`0123456789\n`, 27) + `012"…`,
		},
		{name: "cut off", in: greeting + `{"kind":"progress"}`, is: agent.ErrTruncated, err: "ended without a result", kinds: []string{"hello", "progress"}},
		{
			name: "cut off in a line", in: greeting + `{"kind":"res`, is: agent.ErrTruncated,
			err: `ended without a result: a line is no event: "{\"kind\":\"res"`, kinds: []string{"hello"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var kinds []string
			data, err := agent.Read(strings.NewReader(test.in), func(e agent.Event) { kinds = append(kinds, e.Kind) })
			if diff := cmp.Diff(test.kinds, kinds); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, string(data)); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			if got := text(err); got != test.err || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %q, want %q", got, test.err)
			}
		})
	}
}

func TestReadErrorOfTheAgent(t *testing.T) {
	_, err := agent.Read(strings.NewReader(greeting+`{"kind":"error","text":"no space"}`), nil)
	var told *agent.Error
	if !errors.As(err, &told) {
		t.Fatalf("error %#v, want an *agent.Error", err)
	}
	if diff := cmp.Diff(&agent.Error{Host: "node3", Text: "no space"}, told); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Whatever comes, Read tells hello first, and either data or an error.
func FuzzRead(f *testing.F) {
	f.Add(greeting + `{"kind":"result","data":{"a":1}}`)
	f.Add("motd\n" + greeting + `{"kind":"progress","text":"x"}` + "\n" + `{"kind":"error","text":"y"}`)
	f.Add(`{"kind":"hello"` + "\n\n")
	f.Add(`{"kind":"hello"}{"kind":"hello"}` + "\n" + `{"kind":1}`)
	f.Fuzz(func(t *testing.T, in string) {
		var kinds []string
		data, err := agent.Read(strings.NewReader(in), func(e agent.Event) { kinds = append(kinds, e.Kind) })
		if len(kinds) > 0 && kinds[0] != agent.KindHello || len(kinds) == 0 && err == nil {
			t.Errorf("events %q, error %v", kinds, err)
		}
		if err != nil && data != nil || data != nil && !json.Valid(data) {
			t.Errorf("data %q, error %v", data, err)
		}
	})
}
