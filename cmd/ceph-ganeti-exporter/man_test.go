package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// TestManPages holds the manual pages to the commands.
func TestManPages(t *testing.T) {
	root := newRootCommand()
	date := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		cmd.DisableAutoGenTag = true
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "8", Source: program, Date: &date}
		var page bytes.Buffer
		if err := doc.GenMan(cmd, header, &page); err != nil {
			t.Fatal(err)
		}
		generated(t, "../../packaging/man/"+name+".8", page.Bytes())
	}
}
