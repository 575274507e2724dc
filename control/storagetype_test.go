package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// shelf is a storage type that shows what options can be.
type shelf struct{}

func (shelf) Name() string { return "shelf" }

func (shelf) Options() []control.Option {
	return []control.Option{
		{Name: "board", Repeat: true, PerNode: true, Help: "what stands on it"},
		{Name: "height", Default: "3", Help: "boards above each other", Check: func(value string) error {
			if value == "0" {
				return errors.New("want more")
			}
			return nil
		}},
		{Name: "width", PerNode: true, Derive: func(get func(string) []string) string { return get("height")[0] + "0" }},
	}
}

func (shelf) CheckTogether([]control.OptionValue) error { return nil }

func (shelf) Disks(control.Values) control.DiskTemplate { return nil }

func TestParseStorage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want map[string]control.Values
		err  []string
	}{
		{name: "one", args: []string{"shelf:height=2"}, want: map[string]control.Values{"shelf": {"height": {"2"}}}},
		{
			name: "several arguments", args: []string{"shelf:board=a,height=2", "shelf:board=b"},
			want: map[string]control.Values{"shelf": {"board": {"a", "b"}, "height": {"2"}}},
		},
		{
			name: "escaped", args: []string{`shelf:board=a\,b\\,board=c\d`},
			want: map[string]control.Values{"shelf": {"board": {`a,b\`, `c\d`}}},
		},
		{name: "an equals sign in a value", args: []string{"shelf:board=a=b"}, want: map[string]control.Values{"shelf": {"board": {"a=b"}}}},
		{name: "taken back", args: []string{"shelf:height="}, want: map[string]control.Values{"shelf": {"height": {}}}},
		{
			name: "all that is wrong", args: []string{"chair:x=1", "shelf:depth=1,height=0", "shelf", "shelf:board"},
			err: []string{
				`no storage type is called "chair"; there is shelf`, "shelf:depth=1: no such option", "shelf:height=0: want more",
				"shelf: want shelf:option=value", "shelf:board: want board=VALUE", "the options of shelf are\n  board ",
			},
		},
		{
			name: "twice", args: []string{"shelf:height=1,height=2,board=a,board=a,board="},
			err: []string{"shelf:height=2: given twice", "shelf:board=a: the same value twice", "shelf:board=: board= takes back"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := control.ParseStorage([]control.StorageType{shelf{}}, c.args...)
			if (err != nil) != (len(c.err) > 0) {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.err {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
			if diff := cmp.Diff(c.want, got); len(c.err) == 0 && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	cluster := control.Values{"board": {"a"}, "height": {"2"}}
	node := control.Values{"board": {"b", "c"}, "height": {"9"}} // height is not a node's to have
	want := []control.OptionValue{
		{Name: "board", Values: []string{"b", "c"}, Source: control.SourceNode},
		{Name: "height", Values: []string{"2"}, Source: control.SourceCluster},
		{Name: "width", Values: []string{"20"}, Source: control.SourceDefault},
	}
	if diff := cmp.Diff(want, control.Resolve(shelf{}, cluster, node)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMerge(t *testing.T) {
	before := control.Values{"board": {"a", "b"}, "height": {"2"}}
	got := control.Merge(before, control.Values{"board": {"c"}, "height": {}, "width": {"1"}})
	if diff := cmp.Diff(control.Values{"board": {"c"}, "width": {"1"}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
