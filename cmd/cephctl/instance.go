package main

import (
	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

func newInstanceCommand(a *app) *cobra.Command {
	return newNoun("instance", "Virtual machines whose disks are images of the storage cluster",
		newInstanceAddCommand(a),
		newInstanceStartCommand(a),
		newInstanceStopCommand(a),
		newInstanceInfoCommand(a),
		newInstanceListCommand(a),
		newInstanceRemoveCommand(a),
		newInstanceActivateDisksCommand(a),
		newInstanceDeactivateDisksCommand(a),
	)
}

// instances returns what plans with an environment.
func (a *app) instances(env *control.Env) *instance.Instances {
	return &instance.Instances{Env: env, Storage: a.storage, RunDir: a.config.RunDir}
}

// completeInstances completes arguments by the names of instances.
func (a *app) completeInstances(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(c control.Cluster) []string {
		all := make([]string, len(c.Instances))
		for i := range c.Instances {
			all[i] = c.Instances[i].Name
		}
		return all
	})
}
