package run_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

func TestQuote(t *testing.T) {
	tests := []struct {
		argv []string
		want string
	}{
		{nil, ""},
		{[]string{"ceph", "osd", "tree", "--format=json"}, "ceph osd tree --format=json"},
		{[]string{"echo", ""}, "echo ''"},
		{[]string{"echo", "a b", "$HOME", "it's"}, `echo 'a b' '$HOME' 'it'\''s'`},
		{[]string{"ls", "~", "*", "#"}, `ls '~' '*' '#'`},
		{[]string{"printf", "a\n\x1b\\'"}, `printf $'a\012\033\\\''`},
		{[]string{"echo", "Zürich"}, "echo 'Zürich'"},
	}
	for _, test := range tests {
		if got := run.Quote(test.argv); got != test.want {
			t.Errorf("Quote(%q) = %s, want %s", test.argv, got, test.want)
		}
	}
}

// A shell must read what was quoted.
func FuzzQuote(f *testing.F) {
	for _, word := range []string{"", "plain", "a b", "it's", `back\slash`, "$x`y`", "new\nline", "\x01\x7f7", "-n", "é\xff", "~", "a=b;c&d|e"} {
		f.Add(word)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		f.Skip("bash is not installed")
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) {
			t.Skip("no word of a command line has a NUL")
		}
		got, err := exec.Command(bash, "-c", "printf '%s|' "+run.Quote([]string{word, "end"})).Output()
		if want := word + "|end|"; err != nil || string(got) != want {
			t.Errorf("bash reads %q, %v; want %q", got, err, want)
		}
	})
}
