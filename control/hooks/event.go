package hooks

import (
	"fmt"
	"slices"
	"strings"
)

// Event is what Ganeti is about to do, or has done.
type Event struct {
	// Hook is the folder of the hook without its end, for example "node-modify-pre", or Watcher.
	Hook string
	// OpCode is Ganeti's name of the operation, for example "OP_NODE_SET_PARAMS"; Watcher has none.
	OpCode string
	// Node and Group are those that it is about, if any, by Ganeti's names; of an instance, the node on which it is to run.
	Node  string
	Group string
	// Instance is the name of the instance that it is about, if any, Template the disk template of its disks, and Image the
	// name of the first of them that there is already.
	Instance, Template, Image string
	// Offline is what becomes of the node's flag, or nil when it stays as it is.
	Offline *bool
	// Cleanup tells that a migration only tidies up after one that was broken off: nothing is opened anew.
	Cleanup bool
}

// Before tells whether Ganeti has not done it yet, and takes a failure for a no.
func (e *Event) Before() bool { return strings.HasSuffix(e.Hook, "-pre") }

// FailsOpen tells whether Ganeti goes on with what a hook is called for where nobody can tell whether it may: an instance has
// to start, and what is changed of the cluster or a group may have nothing to do with storage.
func FailsOpen(hook string) bool {
	return slices.ContainsFunc([]string{"instance-", "group-modify-", "cluster-modify-"}, func(begin string) bool {
		return strings.HasPrefix(hook, begin)
	})
}

// Told tells whether Ganeti tells its user what the hook says when it fails, be it as a no or as a warning.
func (e *Event) Told() bool {
	return e.Hook != Watcher && e.Hook != "config-update-post"
}

// ReadEvent reads what Ganeti says to a hook in its environment, "GANETI_OP_CODE=OP_NODE_ADD" and so on. The error says
// that there is no such hook.
func ReadEvent(hook string, environment []string) (Event, error) {
	if !slices.ContainsFunc(folders, func(folder string) bool { return strings.TrimSuffix(folder, ".d") == hook }) {
		return Event{}, fmt.Errorf("no hook is called %q", hook)
	}
	told := make(map[string]string)
	for _, entry := range environment {
		if name, value, ok := strings.Cut(entry, "="); ok {
			if name, ok = strings.CutPrefix(name, "GANETI_"); ok {
				told[name] = value
			}
		}
	}
	event := Event{Hook: hook, OpCode: told["OP_CODE"], Group: told["GROUP_NAME"]}
	switch {
	case strings.HasPrefix(hook, "node-"):
		event.Node = told["NODE_NAME"]
		if event.Node == "" { // node-modify has none
			event.Node = told["OP_TARGET"]
		}
	case strings.HasPrefix(hook, "instance-"):
		event.Instance, event.Template, event.Node = told["INSTANCE_NAME"], told["INSTANCE_DISK_TEMPLATE"], told["INSTANCE_PRIMARY"]
		event.Image = told["INSTANCE_DISK0_ID"]
		if node := told["NEW_PRIMARY"]; node != "" {
			event.Node = node
		}
		event.Cleanup = told["MIGRATE_CLEANUP"] == "True"
	case hook == "group-rename-pre" && event.Group == "":
		event.Group = told["OLD_NAME"]
	}
	if value := told["OFFLINE"]; value == "True" || value == "False" {
		offline := value == "True"
		event.Offline = &offline
	}
	return event, nil
}

// Line makes one line of a text, of ASCII only: Ganeti escapes everything else where it shows what a hook has said.
func Line(text string) string {
	replaced := strings.NewReplacer("…", "...", "×", "x", "→", "->", "\n", "; ").Replace(strings.TrimSpace(text))
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, replaced)
}
