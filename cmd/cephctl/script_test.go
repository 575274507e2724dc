package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		program: main,
		"rig":   rig,
	})
}

// TestScript runs the scripts of testdata/script. Beside the usual commands they have "exits CODE COMMAND...", "await
// FILE", and "rig", which is cephctl with the commands of newRigCommand and a storage type whose plans touch no node.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CEPHCTL_STATE_DIR", env.WorkDir+"/state")
			env.Setenv("CEPHCTL_LOG_FILE", env.WorkDir+"/cephctl.log")
			env.Setenv("CEPHCTL_CONFIG", env.WorkDir+"/cephctl.yml")
			return os.WriteFile(env.WorkDir+"/cephctl.yml", nil, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": clitest.Exits,
			"await": await,
		},
	})
}

// await waits until there is a file.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("there is no %s", args[0])
}

// rig is a program: cephctl with commands that plans alone can't show yet.
func rig() {
	a := newApp()
	root := newRootCommand(a)
	root.AddCommand(newRigCommand(a, "destroy", func(plan *control.Plan) {
		plan.Destroys = []string{"all that is on node1"}
	}), newRigCommand(a, "wait", func(plan *control.Plan) {
		plan.Steps[0].Do = func(ctx context.Context, progress func(string)) error {
			progress("waiting")
			if err := os.WriteFile("waiting", nil, 0o600); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}), newRigCommand(a, "mark", func(plan *control.Plan) {}))
	os.Exit(execute(a, root))
}

// newRigCommand returns a command with one step on node1, which marks group and node for the storage type.
func newRigCommand(a *app, name string, alter func(*control.Plan)) *cobra.Command {
	opts := changeOptions{}
	cmd := &cobra.Command{Use: name, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.change(cmd.Context(), opts, func(env *control.Env) control.Change {
			return control.Change{Kind: name, Target: "node1", Plan: func(context.Context, *control.Memory) (*control.Plan, error) {
				plan := &control.Plan{Title: name + " node1", Steps: []control.Step{{
					ID: "step", Node: "node1", Title: "do it", Commands: []string{"true"},
					Do: func(ctx context.Context, _ func(string)) error {
						if err := env.Inventory.MarkGroup(ctx, "default", "ceph"); err != nil {
							return err
						}
						return env.Inventory.MarkNode(ctx, "node1", "ceph")
					},
				}}}
				alter(plan)
				return plan, nil
			}}
		})
	}}
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}
