package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/hooks"
)

// What becomes of an instance whose disks could not be opened, or not without a risk.
const (
	instancesWarn   = "warn"
	instancesRefuse = "refuse"
)

// hookInstances are the values of the setting.
var hookInstances = []string{instancesWarn, instancesRefuse}

// instanceTimeout bounds what a start of an instance waits for. It goes on without an answer.
const instanceTimeout = 5 * time.Second

// beforeInstance looks whether the disks of an instance can be opened where it is to run. What it finds is told after the
// start, as Ganeti shows nothing that a hook says before unless the hook refuses. What Ganeti's watcher starts is never
// refused, nor what tidies up after a migration.
func (a *app) beforeInstance(ctx context.Context, env *control.Env, in *outlined, event hooks.Event) error {
	if err := a.forgetWarning(event.Instance); err != nil || event.Cleanup {
		return err
	}
	looking, cancel := context.WithTimeoutCause(ctx, instanceTimeout, fmt.Errorf("no answer within %s", instanceTimeout))
	defer cancel()
	found, err := a.lookAtDisks(looking, env, in, event)
	if err != nil || len(found.against)+len(found.unclear) == 0 {
		return err
	}
	if len(found.against) > 0 && a.config.HookInstances == instancesRefuse && !decided(ctx, in, event) {
		return vetoBy(found.against)
	}
	return a.warn(event.Instance, vetoBy(append(found.against, found.unclear...)).Error())
}

// disksSeen is what keeps disks from being opened on a node, or makes that a risk, and why nobody can tell.
type disksSeen struct{ against, unclear []control.Blocker }

// lookAtDisks looks whether disks like those of an instance can be opened on its node.
func (a *app) lookAtDisks(ctx context.Context, env *control.Env, in *outlined, event hooks.Event) (found disksSeen, err error) {
	t, ok := a.templateOf(event.Template)
	if !ok {
		return found, nil
	}
	o, err := in.Outline(ctx)
	if err != nil {
		return found, err
	}
	n, ok := o.Cluster.Node(event.Node)
	g, known := o.Group(n.Group)
	if !ok || !known {
		return found, fmt.Errorf("look at the node: %s: %w", event.Node, control.ErrUnknown)
	}
	if found.against = wrongParams(t, o, g); len(found.against) > 0 {
		return found, nil
	}
	request := guest.Request{
		Instance: control.Instance{Name: event.Instance, Node: n.Name},
		Disks:    []control.DiskSpec{{Disk: control.Disk{Template: t.Name(), Image: event.Image}, Params: o.Disk(t, g)}},
	}
	var said guest.Check
	question := control.Question{Part: guest.Name, Action: guest.ActionCheck, Payload: request, Timeout: instanceTimeout}
	if err := env.Ask(ctx, n, question, &said, nil); err != nil {
		return found, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	found.against, found.unclear = said.Lacks, said.Unclear
	for _, risk := range said.Risks {
		if risk.Refused() {
			found.against = append(found.against, control.Blocker{Node: n.Name, Case: "loopback", Text: risk.Text, Cure: strings.Join(risk.Cures, "; ")})
		}
	}
	return found, nil
}

// templateOf returns the disk template of a storage type by its name, or false.
func (a *app) templateOf(name string) (control.DiskTemplate, bool) {
	for _, t := range a.diskTemplates() {
		if t.Name() == name {
			return t, true
		}
	}
	return nil, false
}

// wrongParams lists disk parameters of a group that are none: Ganeti takes any text.
func wrongParams(t control.DiskTemplate, o *ganeti.Outline, g ganeti.Group) []control.Blocker {
	var wrong []control.Blocker
	params := o.Disk(t, g)
	for _, option := range t.Options() {
		if option.Check == nil || params[option.Name] == "" {
			continue
		}
		if err := option.Check(params[option.Name]); err != nil {
			wrong = append(wrong, control.Blocker{
				Case: "disk-parameter", Text: fmt.Sprintf("%s %q of %s in group %s: %v", option.Name, params[option.Name], t.Name(), g.Name, err),
				Cure: fmt.Sprintf("gnt-group modify -D %s:%s=... %s", t.Name(), option.Name, g.Name),
			})
		}
	}
	return wrong
}

// decided tells whether Ganeti's watcher starts the instance, or cephctl, which has looked itself and may have been told to
// take the risk. It is what is assumed when nobody can tell.
func decided(ctx context.Context, in *outlined, event hooks.Event) bool {
	ops, err := in.Running(ctx, event.OpCode)
	return err != nil || slices.ContainsFunc(ops, func(op ganeti.Op) bool {
		return op.Instance == event.Instance && (op.ByWatcher() || op.ByCephctl())
	})
}

// warn writes a warning into the journal, and keeps it for the hook that is called when the instance runs.
func (a *app) warn(instance, line string) error {
	toJournal(instance + ": " + line)
	path := a.warningFile(instance)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep a warning: %w", err)
	}
	return replaceFile(path, []byte(line+"\n"))
}

// toJournal writes a line into the system's log. Where there is none, cephctl's own log has it.
func toJournal(line string) {
	if w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_WARNING, program); err == nil {
		_ = w.Warning(line)
		_ = w.Close()
	}
}

// afterInstance tells the warning of the hook before, once. Ganeti shows it to its user, and the instance runs.
func (a *app) afterInstance(event hooks.Event) error {
	line, err := os.ReadFile(a.warningFile(event.Instance))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = a.forgetWarning(event.Instance)
	}
	if err != nil {
		return fmt.Errorf("read a warning: %w", err)
	}
	return veto("warning: " + strings.TrimSpace(string(line)))
}

func (a *app) forgetWarning(instance string) error {
	if err := os.Remove(a.warningFile(instance)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget a warning: %w", err)
	}
	return nil
}

// warningFile is where the warning about an instance is kept for a moment. Its name is that of a host.
func (a *app) warningFile(instance string) string {
	return filepath.Join(a.config.StateDir, "hooks-warnings", filepath.Base(instance))
}
