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
	"cluster-verify-post.d", "config-update-post.d", "group-remove-pre.d", "group-rename-pre.d", "node-add-post.d",
	"node-modify-pre.d", "node-modify-post.d", "node-remove-pre.d", Watcher,
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

// State is one word on the facts, or two.
func (f *Facts) State() string {
	switch {
	case !f.Ganeti:
		return "no Ganeti"
	case len(f.Missing)+len(f.Different) == 0:
		return "installed"
	case len(f.Installed)+len(f.Different) == 0:
		return "not installed"
	}
	return "incomplete"
}

// Commands returns what installing or removing does on a node with these facts, a line each.
func Commands(install bool, f Facts) []string {
	var lines []string
	if install {
		for _, folder := range append(append([]string{}, f.Missing...), f.Different...) {
			lines = append(lines, "write "+Dir+"/"+folder+"/"+script)
		}
		return lines
	}
	for _, folder := range append(append([]string{}, f.Installed...), f.Different...) {
		lines = append(lines, "rm "+Dir+"/"+folder+"/"+script)
	}
	return lines
}
