package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// writePlan writes a plan for people.
func writePlan(w io.Writer, p *control.Plan) {
	fmt.Fprintf(w, "%s\n", p.Title)
	for i, s := range p.Steps {
		fmt.Fprintf(w, "%3d. %s\n", i+1, place(s))
		for _, c := range s.Commands {
			fmt.Fprintf(w, "       %s\n", strings.ReplaceAll(c, "\n", "\n       "))
		}
	}
	writeList(w, "lost for good:", p.Destroys)
	writeNotes(w, p)
	writeBlockers(w, p)
	if len(p.Steps) == 0 && len(p.Blockers) == 0 {
		fmt.Fprintln(w, "nothing to do")
	}
}

// place returns what a step does, and where.
func place(s control.Step) string {
	if s.Node == "" {
		return s.Title
	}
	return s.Node + ": " + s.Title
}

// writeBlockers writes all reasons why a plan can't be carried out.
func writeBlockers(w io.Writer, p *control.Plan) {
	lines := make([]string, len(p.Blockers))
	for i, b := range p.Blockers {
		lines[i] = fmt.Sprintf("%s [%s]", b, b.Case)
	}
	writeList(w, "can't be done:", lines)
}

// writeNotes writes what the admin should know.
func writeNotes(w io.Writer, p *control.Plan) {
	for _, n := range p.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

func writeList(w io.Writer, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, heading)
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
