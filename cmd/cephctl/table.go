package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is rows below a heading. State words are coloured when it says so.
type table struct {
	rows   [][]string
	colour bool
}

func (a *app) newTable(heading ...string) *table {
	return &table{rows: [][]string{heading}, colour: a.terminalOut && colours()}
}

// add adds a row. An empty cell is shown as a dash.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 1)
		}
	}
	for n, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(t.cell(cell, n > 0))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-max(1, utf8.RuneCountInString(cell))+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

func (t *table) cell(text string, body bool) string {
	switch {
	case text == "":
		return "-"
	case !t.colour || !body:
		return text
	}
	return coloured(text)
}

// coloured returns a state word in its colour: green is as it should be, yellow wants a look, red is broken.
func coloured(word string) string {
	code := 0
	switch word {
	case "online", "up", "in", "active", "ok", "HEALTH_OK":
		code = 32
	case "offline", "out", "inactive", "missing", "HEALTH_WARN":
		code = 33
	case "down", "failed", "unreachable", "HEALTH_ERR":
		code = 31
	default:
		return word
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, word)
}
