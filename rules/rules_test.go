package rules

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestPromtool has the real promtool check the rules and run their tests.
func TestPromtool(t *testing.T) {
	lab.Require(t, "promtool")
	tests, err := filepath.Glob("tests/*.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, args := range [][]string{
		append([]string{"check", "rules"}, Prometheus()...),
		append([]string{"test", "rules"}, tests...),
	} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

var family = regexp.MustCompile(`\b(loopback_[a-z_]+)\b`)

// Every alert says what it must, has tests that see it fire and a page in the manual; what it reads is in the reference.
func TestAlerts(t *testing.T) {
	reference := read(t, "../docs/metrics.md")
	for _, name := range Prometheus() {
		text, err := fs.ReadFile(Files, name)
		if err != nil {
			t.Fatal(err)
		}
		var file ruleFile
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		tests := read(t, "tests/"+name)
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				if s := rule.Labels["severity"]; s != "info" && s != "warning" && s != "critical" {
					t.Errorf("%s: severity %q", rule.Alert, s)
				}
				for _, key := range []string{"summary", "description", "cure"} {
					if rule.Annotations[key] == "" {
						t.Errorf("%s has no %s", rule.Alert, key)
					}
				}
				if !strings.Contains(tests, `alertname="`+rule.Alert+`"`) && !strings.Contains(tests, "alertname: "+rule.Alert+"\n        exp_alerts:\n") {
					t.Errorf("%s is never seen to fire in %s", rule.Alert, "tests/"+name)
				}
				page := path.Base(rule.Annotations["runbook_url"])
				if page != rule.Alert+".md" {
					t.Errorf("%s has the page %s", rule.Alert, page)
				}
				read(t, "../docs/runbooks/"+page)
				for _, f := range family.FindAllString(rule.Expr, -1) {
					if !strings.Contains(reference, "`"+f+"`") {
						t.Errorf("%s: no collector has %s", rule.Alert, f)
					}
				}
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
