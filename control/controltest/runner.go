package controltest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// Answer is what a command answers.
type Answer struct {
	// Command is the beginning of the command line, as run.Quote writes it, up to the end of a word: "ceph osd tree".
	Command string
	Stdout  string
	// Code and Stderr are of a command that fails.
	Code   int
	Stderr string
	// Err, when set, is returned instead of what Code says.
	Err error
	// Do, when set, is called first: for what the command would change.
	Do func(stdin []byte, argv []string)
}

// Ran is a command that was run.
type Ran struct {
	Argv  []string
	Stdin string
}

// Runner answers commands from a script. A command that is not in it fails the test.
type Runner struct {
	// Ordered wants the commands in the order of the answers, each once. Otherwise the longest Command that matches
	// answers, as often as it is asked (among equals the last one, so that a test can override).
	Ordered bool

	t       testing.TB
	mu      sync.Mutex
	answers []Answer
	ran     []Ran
}

var _ control.Runner = (*Runner)(nil)

// NewRunner returns a runner with these answers, in any order.
func NewRunner(t testing.TB, answers ...Answer) *Runner { return &Runner{t: t, answers: answers} }

// NewOrderedRunner returns a runner that wants exactly these commands, in this order; Done fails the test when some are missing.
func NewOrderedRunner(t testing.TB, answers ...Answer) *Runner {
	r := &Runner{t: t, answers: answers, Ordered: true}
	t.Cleanup(r.Done)
	return r
}

// Add adds answers.
func (r *Runner) Add(answers ...Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, answers...)
}

// Run answers from the script.
func (r *Runner) Run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, &run.Error{Argv: argv, Code: -1, Err: err}
	}
	answer, ok := r.take(Ran{Argv: slices.Clone(argv), Stdin: string(stdin)})
	if !ok {
		r.t.Errorf("unexpected command: %s", run.Quote(argv))
		return nil, &run.Error{Argv: argv, Code: 127, Stderr: "not in the test's script"}
	}
	if answer.Do != nil {
		answer.Do(stdin, argv)
	}
	switch {
	case answer.Err != nil:
		return []byte(answer.Stdout), answer.Err
	case answer.Code != 0:
		return []byte(answer.Stdout), &run.Error{Argv: argv, Code: answer.Code, Stderr: answer.Stderr}
	}
	return []byte(answer.Stdout), nil
}

func (r *Runner) take(ran Ran) (Answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, ran)
	line := run.Quote(ran.Argv)
	if r.Ordered {
		if len(r.answers) == 0 || !matches(line, r.answers[0].Command) {
			return Answer{}, false
		}
		answer := r.answers[0]
		r.answers = r.answers[1:]
		return answer, true
	}
	best, found := Answer{}, false
	for _, answer := range r.answers {
		if matches(line, answer.Command) && len(answer.Command) >= len(best.Command) {
			best, found = answer, true
		}
	}
	return best, found
}

// matches says whether a line begins with a command, up to the end of a word.
func matches(line, command string) bool {
	rest, ok := strings.CutPrefix(line, command)
	return ok && (rest == "" || rest[0] == ' ' || command == "")
}

// Done fails the test when an ordered runner still waits for commands.
func (r *Runner) Done() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.Ordered {
		return
	}
	for _, answer := range r.answers {
		r.t.Errorf("command was not run: %s", answer.Command)
	}
}

// Ran returns the commands that were run, in order.
func (r *Runner) Ran() []Ran {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ran)
}

// Lines returns the command lines that were run, in order, as run.Quote writes them.
func (r *Runner) Lines() []string {
	var lines []string
	for _, ran := range r.Ran() {
		lines = append(lines, run.Quote(ran.Argv))
	}
	return lines
}
