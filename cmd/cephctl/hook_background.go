package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// How the names of units go on that hooks begin: then comes that of a node, or of a group.
const (
	offlineUnit = "offline-"
	readdUnit   = "readd-"
	hooksUnit   = "hooks-"
	clientsUnit = "clients-"
)

// unitKinds are the units that an operation can be begun in, by its kind.
var unitKinds = map[string]string{kindOffline: offlineUnit, kindReadd: readdUnit, kindAddClient: clientsUnit}

// goOffline takes the daemons of a node away, in the background.
func goOffline(ctx context.Context, env *control.Env, name string) error {
	return later(ctx, env, offlineUnit+name, "node", "modify", "--offline=yes", "--yes", name)
}

// goReadd makes a node a member of the storage cluster, in the background.
func goReadd(ctx context.Context, env *control.Env, name string) error {
	return later(ctx, env, readdUnit+name, "node", "add", "--readd", name)
}

// goClients makes the nodes of a group clients of the storage cluster, in the background.
func goClients(ctx context.Context, env *control.Env, group string) error {
	return later(ctx, env, clientsUnit+group, "storage", "add-client", group)
}

// goHooks puts the hooks on a node, in the background.
func goHooks(ctx context.Context, env *control.Env, name string) error {
	return later(ctx, env, hooksUnit+name, "hooks", "install", name)
}

// later runs cephctl as a transient unit of systemd: Ganeti does not wait for it. One that runs already is enough.
func later(ctx context.Context, env *control.Env, name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	unit := unitPrefix + name + ".service"
	if _, err := env.Runner.Run(ctx, nil, "systemctl", "is-active", "--quiet", unit); err == nil {
		return nil
	}
	forgetUnit(ctx, env, name) // one that has failed is kept for people to see, until it is begun again
	argv := []string{"systemd-run", "--quiet", "--no-block", "--unit=" + unit, "--", self, "--unattended"}
	if _, err := env.Runner.Run(ctx, nil, append(argv, args...)...); err != nil {
		return fmt.Errorf("go on in the background: %w", err)
	}
	return nil
}

// resume goes on with what a hook has begun and a crash has broken off. Else it begins again what was refused or has failed,
// as what stood in the way may be gone.
func resume(ctx context.Context, env *control.Env, st *state.State) error {
	op := st.Operation
	if op == nil {
		return tryAgain(ctx, env, st)
	}
	if kind, ok := unitKinds[op.Kind]; ok && op.Unattended {
		return tasks[kind].begin(ctx, env, op.Target)
	}
	return nil
}

// tryAgain begins again what has failed in the background, and forgets what nobody wants any more: whoever has brought a node
// back does not want it offline.
func tryAgain(ctx context.Context, env *control.Env, st *state.State) error {
	failed, err := failedUnits(ctx, env)
	if err != nil || len(failed) == 0 {
		return err
	}
	c, err := env.Inventory.Cluster(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range failed {
		if t := tasks[u.kind]; t.wanted(c, u.name, st) {
			errs = append(errs, t.begin(ctx, env, u.name))
		} else {
			forgetUnit(ctx, env, u.kind+u.name)
		}
	}
	return errors.Join(errs...)
}

// task is a kind of what hooks have cephctl do in the background, with a node or a group.
type task struct {
	begin  func(ctx context.Context, env *control.Env, name string) error
	wanted func(c control.Cluster, name string, st *state.State) bool
}

// tasks are all kinds, by how the names of their units begin after unitPrefix.
var tasks = map[string]task{
	offlineUnit: {goOffline, func(c control.Cluster, name string, st *state.State) bool {
		n, _ := c.Node(name)
		return n.Offline && storageOfNode(c, n, st) != ""
	}},
	readdUnit: {goReadd, func(c control.Cluster, name string, st *state.State) bool {
		n, ok := c.Node(name)
		return ok && !n.Offline && usesStorage(c, n, st)
	}},
	hooksUnit: {goHooks, func(c control.Cluster, name string, _ *state.State) bool {
		n, ok := c.Node(name)
		return ok && !n.Offline
	}},
	clientsUnit: {goClients, func(_ control.Cluster, name string, st *state.State) bool {
		return storageOfClients(name, st) != ""
	}},
}

// failedUnit is a unit that has failed, by its task and the name of what that is about.
type failedUnit struct{ kind, name string }

// failedUnits are those that hooks have begun. The administrator may have units of such names, too.
func failedUnits(ctx context.Context, env *control.Env) ([]failedUnit, error) {
	units, err := background(ctx, env.Runner)
	if err != nil {
		return nil, err
	}
	var failed []failedUnit
	for _, u := range units {
		unit := strings.TrimSuffix(strings.TrimPrefix(u.Unit, unitPrefix), ".service")
		for kind := range tasks {
			if name, ok := strings.CutPrefix(unit, kind); ok && u.State == unitFailed {
				failed = append(failed, failedUnit{kind, name})
			}
		}
	}
	return failed, nil
}

// forgetUnit has systemd forget that a unit has failed, by its name without what all have.
func forgetUnit(ctx context.Context, env *control.Env, name string) {
	_, _ = env.Runner.Run(ctx, nil, "systemctl", "reset-failed", unitPrefix+name+".service") // fails when there is none
}

// forgetOperation has systemd forget the unit of an operation that was given up: the watcher would begin it again.
func forgetOperation(ctx context.Context, env *control.Env, op *state.Operation) {
	if op == nil || !op.Unattended {
		return
	}
	if kind, ok := unitKinds[op.Kind]; ok {
		forgetUnit(ctx, env, kind+op.Target)
	}
}

// usesStorage tells whether the nodes of a node's group are members of a storage cluster, or clients of it.
func usesStorage(c control.Cluster, n control.Node, st *state.State) bool {
	return cmp.Or(storageOfGroup(c, n.Group, st), storageOfClients(n.Group, st)) != ""
}
