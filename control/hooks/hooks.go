// Package hooks lets Ganeti's own commands do what the storage cluster needs: a script in Ganeti's folders of hooks, on
// every node, tells cephctl what Ganeti is about to do or has done. This package keeps the scripts and reads what they
// are told; what follows from it is decided where plans are made.
package hooks

import (
	"fmt"
	"strings"
)

const (
	// Name is the part of cephctl that an agent is asked for.
	Name = "hooks"
	// Dir is where Ganeti looks for its hooks.
	Dir = "/etc/ganeti/hooks"
	// Command is the hidden command of cephctl that the scripts call.
	Command = "ganeti-hook"
)

// What an agent is asked for beside agent.ActionObserve. All return Facts.
const (
	ActionInstall = "install"
	ActionRemove  = "remove"
)

// Watcher is the folder of what Ganeti's watcher runs every few minutes.
const Watcher = "watcher"

// folders are those below Dir in which a script of cephctl's lies.
var folders = []string{
	"cluster-modify-pre.d", "cluster-modify-post.d", "cluster-verify-post.d", "config-update-post.d",
	"group-modify-pre.d", "group-modify-post.d", "group-remove-pre.d", "group-rename-pre.d",
	"instance-add-pre.d", "instance-add-post.d", "instance-migrate-pre.d", "instance-migrate-post.d",
	"instance-start-pre.d", "instance-start-post.d",
	"node-add-post.d", "node-modify-pre.d", "node-modify-post.d", "node-remove-pre.d", Watcher,
}

// script is the name of the script. Ganeti passes over names with a dot.
const script = "cephctl"

// content is what a script says. Without cephctl, Ganeti goes on as if there were no hook.
func content(program, folder string) string {
	return fmt.Sprintf("#!/bin/sh\n# Put here by cephctl hooks install.\n[ -x %[1]s ] || exit 0\nexec %[1]s %s %s\n",
		quote(program), Command, strings.TrimSuffix(folder, ".d"))
}

// quote makes a word of a shell's of a path.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// Facts are what a node has of the hooks.
type Facts struct {
	// Ganeti tells whether the node has Ganeti at all.
	Ganeti bool `json:"ganeti"`
	// Installed, Missing and Different are folders: those with the right script, those without one, and those in which
	// it is another one than this cephctl would write, or can't be run.
	Installed []string `json:"installed"`
	Missing   []string `json:"missing"`
	Different []string `json:"different"`
}

// Lacking are the folders without the right script.
func (f *Facts) Lacking() []string { return append(append([]string{}, f.Missing...), f.Different...) }

// Present are the folders with a script of cephctl's, the right one or not.
func (f *Facts) Present() []string { return append(append([]string{}, f.Installed...), f.Different...) }

// State is one word on the facts, or two.
func (f *Facts) State() string {
	switch {
	case !f.Ganeti:
		return "no Ganeti"
	case len(f.Lacking()) == 0:
		return "installed"
	case len(f.Present()) == 0:
		return "not installed"
	}
	return "incomplete"
}

// Commands returns what installing or removing does on the node, a line each.
func (f *Facts) Commands(install bool) []string {
	verb, where := "rm ", f.Present()
	if install {
		verb, where = "write ", f.Lacking()
	}
	lines := make([]string, len(where))
	for i, folder := range where {
		lines[i] = verb + Dir + "/" + folder + "/" + script
	}
	return lines
}
