package ganeti

import (
	"context"
	"fmt"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Listed returns what Ganeti's own commands list, which need no remote API: groups and nodes with their marks, as
// [Inventory.Cluster] has them, and nothing else.
func Listed(ctx context.Context, site *Site, runner control.Runner) (control.Cluster, error) {
	var (
		groups []Group
		nodes  []node
	)
	rows, err := list(ctx, runner, "gnt-group", "name", "uuid", "tags")
	if err != nil {
		return control.Cluster{}, err
	}
	for _, row := range rows {
		groups = append(groups, Group{Name: row[0], UUID: row[1], Tags: tagsOf(row[2])})
	}
	rows, err = list(ctx, runner, "gnt-node", "name", "group.uuid", "pip", "offline", "tags")
	if err != nil {
		return control.Cluster{}, err
	}
	for _, row := range rows {
		nodes = append(nodes, node{Name: row[0], GroupUUID: row[1], Address: row[2], Offline: row[3] == "Y", Tags: tagsOf(row[4])})
	}
	return newCluster(site, groups, nodes, nil), nil
}

// separator is in no name, address or tag.
const separator = "|"

// list returns a row a thing with these fields.
// Similar to: gnt-node list --no-headers --separator='|' --output=name,tags
func list(ctx context.Context, runner control.Runner, command string, fields ...string) ([][]string, error) {
	out, err := runner.Run(ctx, nil, command, "list", "--no-headers", "--separator="+separator, "--output="+strings.Join(fields, ","))
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		row := strings.Split(strings.TrimSpace(line), separator)
		if len(row) != len(fields) {
			return nil, fmt.Errorf("read what %s lists: %q has not %d fields", command, line, len(fields))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// tagsOf splits tags, which are joined by commas, and of groups shown as Python has them: ['a', 'b'].
func tagsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("[]', ", r) })
}
