package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// diskTemplates are those of the storage types, with the defaults of a new installation.
func (a *app) diskTemplates() []control.DiskTemplate {
	templates := make([]control.DiskTemplate, len(a.storage))
	for i, t := range a.storage {
		templates[i] = t.Disks(nil)
	}
	return templates
}

// parseSize parses a number of MiB with one of the suffixes M, G and T, powers of 1024, into bytes.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "MGT")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift := 20 + 10*strings.Index("MGT", strings.TrimPrefix(text, digits))
	if err != nil || len(text) != len(digits)+1 || n < 1 || n > (1<<50)>>shift {
		return 0, errors.New("give a number with M, G or T, for example 512M")
	}
	return n << shift, nil
}

// diskParams is the flag -D.
type diskParams []string

func (o *diskParams) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP((*[]string)(o), "disk-parameters", "D", nil, "disk parameters, as TEMPLATE:parameter=value,parameter=value; may be repeated")
	completeValues(cmd, "disk-parameters")
}

// diskParamHelp lists the disk parameters of all templates for help.
func (a *app) diskParamHelp() string {
	var text strings.Builder
	for _, t := range a.diskTemplates() {
		fmt.Fprintf(&text, "\nThe disk parameters of %s:\n%s\n", t.Name(), control.OptionHelp(t.Options()))
	}
	return text.String()
}

// parseDiskParams parses -D. The error has all that is wrong.
func (a *app) parseDiskParams(args diskParams) (map[string]control.Values, error) {
	given, err := control.ParseDiskParams(a.diskTemplates(), args...)
	if err != nil {
		return nil, fmt.Errorf("%w: disk parameters:\n%w", control.ErrUsage, err)
	}
	return given, nil
}

// planDiskParams plans to store disk parameters of a group, or of the cluster when group is empty.
func (a *app) planDiskParams(env *control.Env, plan *control.Plan, c control.Cluster, group string, given map[string]control.Values) error {
	inventory, ok := env.Inventory.(control.DiskParamInventory)
	if !ok && len(given) > 0 {
		return fmt.Errorf("%w: -D: this inventory has no disk parameters", control.ErrUsage)
	}
	templates, err := instance.Templates(a.storage, env.Store)
	if err != nil {
		return err
	}
	before := c.DiskParams
	if group != "" {
		g, _ := c.Group(group)
		before = g.DiskParams
	}
	for _, t := range templates {
		merged := control.Merge(before[t.Name()], given[t.Name()])
		if equalValues(before[t.Name()], merged) {
			continue
		}
		job, err := inventory.ChangeDiskParams(t, group, before[t.Name()], merged)
		if err != nil {
			return err
		}
		blockMoved(plan, c, t, group, merged)
		add(plan, "disk-parameters "+t.Name(), "store the disk parameters of "+t.Name(), job.Text, job.Do)
		plan.Note("running instances keep what they were started with: a change takes effect at the next start")
	}
	return nil
}

// blockMoved adds a blocker for each group whose instances a change would look for elsewhere.
func blockMoved(plan *control.Plan, c control.Cluster, t control.DiskTemplate, group string, merged control.Values) {
	for _, g := range c.Groups {
		users := instancesOf(c, g.Name, t.Name())
		if group != "" && g.Name != group || len(users) == 0 {
			continue
		}
		before := control.Getter(c.ResolveDisk(t, g))
		after := control.Getter(control.ResolveDisk(t, merged, g.DiskParams[t.Name()]))
		if group != "" {
			after = control.Getter(control.ResolveDisk(t, c.DiskParams[t.Name()], merged))
		}
		for _, o := range t.Options() {
			if o.Fixed && !slices.Equal(before(o.Name), after(o.Name)) {
				plan.Blockers = append(plan.Blockers, movesDisks(o.Name, t.Name(), g.Name, users))
			}
		}
	}
}

// movesDisks says that a disk parameter can't change: these instances of a group would be looked for elsewhere.
func movesDisks(name, template, group string, users []string) control.Blocker {
	return control.Blocker{
		Case: "disk-parameter-in-use", Cure: "remove them first, or leave it as it is",
		Text: fmt.Sprintf("%s of %s says where the disks of instances of group %s are: %s", name, template, group, strings.Join(users, ", ")),
	}
}

// instancesOf returns the instances of a group that have a disk of a template.
func instancesOf(c control.Cluster, group, template string) []string {
	var users []string
	for _, i := range c.Instances {
		n, _ := c.Node(i.Node)
		uses := slices.ContainsFunc(i.Disks, func(d control.Disk) bool { return d.Template == template })
		if n.Group == group && uses {
			users = append(users, i.Name)
		}
	}
	return users
}

// templateInfo is what holds for the disks of a template, for the output.
type templateInfo struct {
	Template string                `json:"template"`
	Params   []control.OptionValue `json:"parameters"`
}

// templateInfos returns what holds for the disks of all templates, of a group or of the cluster; nothing where the inventory
// has disk parameters of its own.
func (a *app) templateInfos(env *control.Env, c control.Cluster, g control.Group) ([]templateInfo, error) {
	if _, ok := env.Inventory.(control.DiskParamInventory); !ok {
		return []templateInfo{}, nil
	}
	templates, err := instance.Templates(a.storage, env.Store)
	if err != nil {
		return nil, err
	}
	infos := make([]templateInfo, len(templates))
	for i, t := range templates {
		infos[i] = templateInfo{t.Name(), c.ResolveDisk(t, g)}
	}
	return infos, nil
}

// writeParams shows disk parameters with their sources, if there are any.
func (a *app) writeParams(w io.Writer, infos []templateInfo) {
	if len(infos) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := a.newTable("DISKS", "PARAMETER", "VALUE", "SOURCE")
	for _, info := range infos {
		for _, o := range info.Params {
			t.add(info.Template, o.Name, strings.Join(o.Values, ","), o.Source)
		}
	}
	t.write(w)
}
