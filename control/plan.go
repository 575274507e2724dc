package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Plan is what a command would do: an ordered list of steps, or the reasons why it can't be done.
type Plan struct {
	// Title says what it is about, for example "take node3 offline".
	Title string `json:"title"`
	// Blockers are all the reasons why it can't be done. With any, nothing is changed anywhere.
	Blockers []Blocker `json:"blockers,omitempty"`
	// Notes are what the admin should know and nobody has to mend.
	Notes []string `json:"notes,omitempty"`
	Steps []Step   `json:"steps"`
	// Destroys says what is lost for good, when anything is. It asks for consent.
	Destroys []string `json:"destroys,omitempty"`
	// Down tells that nothing of what is to be taken away runs any more: whoever takes it away loses nothing by it.
	Down bool `json:"-"`
}

// Blocker is a reason why a plan can't be carried out.
type Blocker struct {
	// Node is empty when it is the cluster's.
	Node string `json:"node,omitempty"`
	// Case names the kind of refusal, as docs/refusals.md lists them.
	Case string `json:"case"`
	// Text is what is wrong, Cure what to do about it: one line each.
	Text string `json:"text"`
	Cure string `json:"cure,omitempty"`
}

// String returns the blocker as one line.
func (b Blocker) String() string {
	var s strings.Builder
	if b.Node != "" {
		s.WriteString(b.Node + ": ")
	}
	s.WriteString(b.Text)
	if b.Cure != "" {
		s.WriteString(": " + b.Cure)
	}
	return s.String()
}

// Step is one thing to be done on one node. Doing it twice does no harm.
type Step struct {
	// ID tells the step from the others of its plan, and is the same in the plan of a command that goes on.
	ID string `json:"id"`
	// Node is where it happens.
	Node string `json:"node"`
	// Title says what it does, for example "start mon.node1".
	Title string `json:"title"`
	// Commands are exactly what is run, or a sentence where no command is. Secrets are not in them.
	Commands []string `json:"commands,omitempty"`
	// Together lets a step run at the same time as its neighbours that have the same word, on other nodes.
	Together string `json:"-"`
	// Refusable tells that Do has done nothing where its error wraps ErrNotDone: it is one request, or takes that for what others
	// came before by Halfway.
	Refusable bool `json:"-"`
	// Check, when set, looks once more whether the step may be done, right before.
	Check func(ctx context.Context) error `json:"-"`
	// Do does it and returns when it has taken effect. It tells progress a person what takes its time.
	Do func(ctx context.Context, progress func(string)) error `json:"-"`
}

// Halfway returns the error of a request of a step that came after others: even if it was refused, something was done.
func Halfway(err error) error {
	if errors.Is(err, ErrNotDone) {
		return errors.New(err.Error())
	}
	return err
}

// Block adds a blocker, once.
func (p *Plan) Block(node, kind, cure, format string, args ...any) {
	blocker := Blocker{Node: node, Case: kind, Text: fmt.Sprintf(format, args...), Cure: cure}
	if !slices.Contains(p.Blockers, blocker) {
		p.Blockers = append(p.Blockers, blocker)
	}
}

// KeepMaster adds a blocker when a node that is to go offline is the master, and the inventory does not let that go.
func (p *Plan) KeepMaster(c Cluster, node string) {
	if c.MasterStays && node == c.Master {
		p.Block(node, "master-stays", "on another node, gnt-cluster master-failover, and then this", "is the master, which can't go offline")
	}
}

// Note adds a note, once.
func (p *Plan) Note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	for _, n := range p.Notes {
		if n == note {
			return
		}
	}
	p.Notes = append(p.Notes, note)
}
