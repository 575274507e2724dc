package dashboards

import (
	"encoding/json"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type dashboard struct {
	Title, UID string
	Templating struct{ List []struct{ Name, Type string } }
	Panels     []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Datasource  struct{ UID string }
		Targets     []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

// core are the panel types that every Grafana has.
var core = []string{"row", "stat", "table", "timeseries", "gauge", "bargauge", "text"}

var family = regexp.MustCompile(`\b(loopback|qemu|krbd|ceph|cephctl)_[a-z_]+\b`)

// TestDashboards holds the dashboards to what every Grafana can show, and to families that exist.
func TestDashboards(t *testing.T) {
	reference, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(Files, "*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(Files, name)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d.Title == "" || d.UID == "" || len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
			t.Errorf("%s: title %q, uid %q, variables %v", name, d.Title, d.UID, d.Templating.List)
		}
		var ids []int
		for _, p := range d.Panels {
			if slices.Contains(ids, p.ID) || !slices.Contains(core, p.Type) || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
				t.Errorf("%s: panel %d %q: type %s, place %+v", name, p.ID, p.Title, p.Type, p.GridPos)
			}
			ids = append(ids, p.ID)
			if p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
				t.Errorf("%s: panel %q: %d queries, data source %q", name, p.Title, len(p.Targets), p.Datasource.UID)
			}
			for _, q := range p.Targets {
				if q.Datasource.UID != "${datasource}" || !strings.Contains(q.Expr, `instance=~"$node"`) {
					t.Errorf("%s: panel %q: %s", name, p.Title, q.Expr)
				}
				for _, f := range family.FindAllString(q.Expr, -1) {
					base := strings.TrimSuffix(strings.TrimSuffix(f, "_sum"), "_count")
					if f != "ceph_daemon" && !strings.Contains(string(reference), "`"+base+"`") {
						t.Errorf("%s: panel %q: no collector has %s", name, p.Title, f)
					}
				}
			}
		}
	}
}
