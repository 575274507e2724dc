package main

import (
	"fmt"
	"net/netip"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/settings"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// findNode returns a node of the inventory. The error names the nearest.
func findNode(c control.Cluster, name string) (control.Node, error) {
	if n, ok := c.Node(name); ok {
		return n, nil
	}
	known := make(map[string]bool)
	for _, n := range c.Nodes {
		known[n.Name] = true
	}
	return control.Node{}, unknown("node", name, known)
}

// findGroup returns a group of the inventory. The error names the nearest.
func findGroup(c control.Cluster, name string) (control.Group, error) {
	if g, ok := c.Group(name); ok {
		return g, nil
	}
	known := make(map[string]bool)
	for _, g := range c.Groups {
		known[g.Name] = true
	}
	return control.Group{}, unknown("group", name, known)
}

func unknown(kind, name string, known map[string]bool) error {
	help := settings.Suggest(name, known)
	if help == "" {
		help = "; see " + program + " " + kind + " list"
	}
	return fmt.Errorf("%s %s is %w%s", kind, name, control.ErrUnknown, help)
}

// nameForm is what clusters, groups and nodes may be called.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

// checkName refuses what can't be a name, before anything is begun.
func checkName(kind, name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: %s %q: give letters, digits, dots and hyphens, with a letter or digit first", control.ErrUsage, kind, name)
}

// checkAddress refuses what is neither an IP address nor a name.
func checkAddress(address string) error {
	if _, err := netip.ParseAddr(address); err == nil {
		return nil
	}
	return checkName("address", address)
}

// names returns the names of nodes.
func names(nodes []control.Node) []string {
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = n.Name
	}
	return all
}

// completeNodes completes arguments by the names of nodes.
func (a *app) completeNodes(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(c control.Cluster) []string { return names(c.Nodes) })
}

// completeGroups completes arguments by the names of groups.
func (a *app) completeGroups(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(c control.Cluster) []string {
		all := make([]string, len(c.Groups))
		for i, g := range c.Groups {
			all[i] = g.Name
		}
		return all
	})
}

// completeGroupNodes completes a first argument by groups and the others by nodes.
func (a *app) completeGroupNodes(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeGroups(cmd, args, word)
	}
	return a.completeNodes(cmd, args, word)
}

func (a *app) completeFrom(cmd *cobra.Command, list func(control.Cluster) []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if err := a.config.complete(); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	c, _, err := a.cluster(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return list(c), cobra.ShellCompDirectiveNoFileComp
}

// completeValues completes a flag by words.
func completeValues(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails without such a flag only
}
