package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// What becomes of what Ganeti does.
const (
	vetoes = "veto"
	passes = "pass"
	warns  = "pass, with a warning"
)

// hookCase is a row of docs/hooks.md.
type hookCase struct {
	what, command string
	// set makes the case of a site where all is well, and environment is what Ganeti says.
	set         func(*hookSite)
	hook        string
	environment string
	verdict     string
	line        string
}

const (
	offlineNode2 = "OP_CODE=OP_NODE_SET_PARAMS OP_TARGET=node2.lab OFFLINE=True DRAINED=None"
	offlineNode3 = "OP_CODE=OP_NODE_SET_PARAMS OP_TARGET=node3.lab OFFLINE=True DRAINED=None"
	removeNode2  = "OP_CODE=OP_NODE_REMOVE NODE_NAME=node2.lab OP_TARGET=node2.lab"
	groupDefault = "OP_CODE=OP_GROUP_SET_PARAMS GROUP_NAME=default"
	clusterAll   = "OP_CODE=OP_CLUSTER_SET_PARAMS OP_TARGET=cluster.lab"
	startWeb1    = "OP_CODE=OP_INSTANCE_STARTUP INSTANCE_NAME=web1.lab INSTANCE_PRIMARY=node2.lab INSTANCE_DISK_TEMPLATE=rbd INSTANCE_DISK0_ID=u.rbd.disk0"

	offlineCommand = "gnt-node modify -O yes node2.lab"
	startCommand   = "gnt-instance start web1.lab"
	poolCommand    = "gnt-group modify -D rbd:pool=fast default"

	poolLine  = "cephctl: pool of rbd says where the disks of instances of group default are: web1.lab: remove them first, or leave it as it is"
	groupLine = "cephctl: group default is the storage group: take the storage cluster down first: cephctl storage destroy"
	keyLine   = "cephctl: node2.lab: disk 0: client.admin can't log in to the cluster"
	refusal1  = "connect: connection refused: start it: /usr/lib/ganeti/daemon-util start ganeti-rapi, or see /var/log/ganeti/rapi-daemon.log"
	way       = ": if it may: cephctl hooks pause --for 10m"
)

func blocked(kind, text, cure string, down bool) func(*hookSite) {
	return func(s *hookSite) {
		s.plan = control.Plan{Down: down, Blockers: []control.Blocker{{Node: "node2.lab", Case: kind, Text: text, Cure: cure}}}
	}
}

// beganOffline is an operation of cephctl's that takes the node offline, which it should not any more.
func beganOffline(s *hookSite) {
	blocked("health", "the cluster is not well", "wait", false)(s)
	s.st.Operation = &state.Operation{Kind: kindOffline, Target: "node2.lab"}
}

func wrongSettings(s *hookSite) { s.write("cephctl.yml", "parallels: 3\n") }
func brokenState(s *hookSite)   { s.broken = true }

func atJob(job string) func(*hookSite) { return func(s *hookSite) { s.job = job } }

// setsPool is a job that changes the pool of a group, or of the cluster.
func setsPool(code, group, params string) string {
	return fmt.Sprintf(`{"OP_ID": %q, "group_name": %q, "diskparams": {"rbd": %s}, "reason": [["gnt:client", "modify", 1]]}`, code, group, params)
}

func lacksKey(s *hookSite) {
	s.said = &guest.Check{Lacks: []control.Blocker{{Node: "node2.lab", Text: "disk 0: client.admin can't log in to the cluster"}}}
}

func refuses(s *hookSite) { lacksKey(s); s.config.HookInstances = instancesRefuse }

func rapiDown(s *hookSite)      { s.rapi.Close() }
func rapiPassword(s *hookSite)  { s.write("user", "cephctl guess\n") }
func masterDaemon(s *hookSite)  { s.fails["/2/"] = http.StatusBadGateway }
func nobodyTells(s *hookSite)   { s.fails["/2/query/job"] = http.StatusInternalServerError }
func noCredentials(s *hookSite) { _ = os.Remove(s.config.Ganeti.Credentials) }

var hookCases = []hookCase{
	{"all is well", offlineCommand, nil, "node-modify-pre", offlineNode2, passes, ""},
	{
		"two copies, and one of them goes", offlineCommand, blocked("ok-to-stop", "its OSDs can't be stopped together", "wait", false),
		"node-modify-pre", offlineNode2, vetoes, "cephctl: node2.lab: its OSDs can't be stopped together: wait",
	},
	{
		"Ceph does not answer", offlineCommand, blocked("no-answer", "the Ceph cluster does not answer: the mons have not answered within 30s", "see \"cephctl storage status\"", false),
		"node-modify-pre", offlineNode2, vetoes, "cephctl: node2.lab: the Ceph cluster does not answer: the mons have not answered within 30s: see \"cephctl storage status\"",
	},
	{
		"the node is not to be reached, and its daemons are up", offlineCommand, blocked("node-unreachable", "reach node2.lab: unreachable", "if it is gone for good: cephctl node remove --dead node2.lab", false),
		"node-modify-pre", offlineNode2, vetoes, "cephctl: node2.lab: reach node2.lab: unreachable: if it is gone for good: cephctl node remove --dead node2.lab",
	},
	{
		"the node is not to be reached, and its daemons are down", offlineCommand, blocked("node-unreachable", "reach node2.lab: unreachable", "", true),
		"node-modify-pre", offlineNode2, passes, "",
	},
	{
		"the node is not to be reached, and Ceph knows none of its daemons", offlineCommand, blocked("node-unreachable", "reach node2.lab: unreachable", "if it is gone for good: cephctl node remove --dead node2.lab", false),
		"node-modify-pre", offlineNode2, vetoes, "cephctl: node2.lab: reach node2.lab: unreachable: if it is gone for good: cephctl node remove --dead node2.lab",
	},
	{"cephctl itself takes the node offline", offlineCommand, func(s *hookSite) {
		beganOffline(s)
		s.hold()
	}, "node-modify-pre", offlineNode2, passes, ""},
	{
		"cephctl has begun that and was broken off", offlineCommand, beganOffline, "node-modify-pre", offlineNode2, vetoes,
		"cephctl: node2.lab: the cluster is not well: wait",
	},
	{
		"the hooks are paused", offlineCommand, func(s *hookSite) {
			blocked("health", "the cluster is not well", "", false)(s)
			if err := s.pause(s.now().Add(time.Hour), true); err != nil {
				s.t.Fatal(err)
			}
		}, "node-modify-pre", offlineNode2, passes, "",
	},
	{"this is not the master", offlineCommand, func(s *hookSite) {
		blocked("health", "the cluster is not well", "", false)(s)
		s.write("ssconf_master_node", "elsewhere.lab\n")
	}, "node-modify-pre", offlineNode2, passes, ""},
	{"there is no storage group", offlineCommand, func(s *hookSite) {
		blocked("health", "the cluster is not well", "", false)(s)
		s.st.Storage = nil
	}, "node-modify-pre", offlineNode2, passes, ""},
	{
		"the tags of group and node are lost", offlineCommand, func(s *hookSite) {
			blocked("health", "the cluster is not well", "cure that first", false)(s)
			s.tags = "other"
		}, "node-modify-pre", offlineNode2, vetoes, "cephctl: node2.lab: the cluster is not well: cure that first",
	},
	{
		"a node of the storage group comes back without its daemons", "gnt-node modify -f -O no node2.lab", func(s *hookSite) { s.offline = true },
		"node-modify-pre", "OP_CODE=OP_NODE_SET_PARAMS OP_TARGET=node2.lab OFFLINE=False", vetoes,
		"cephctl: node2.lab: a node of the storage group comes back with its daemons: cephctl node add --readd node2.lab",
	},
	{
		"the node carries daemons", "gnt-node remove node2.lab", blocked("node-in-storage", "is part of distributed storage: it carries osd.2", "mark it offline first", false),
		"node-remove-pre", removeNode2, vetoes, "cephctl: node2.lab: is part of distributed storage: it carries osd.2: mark it offline first",
	},
	{
		"cephctl is changing something else", "gnt-node remove node2.lab", func(s *hookSite) {
			s.st.Operation = &state.Operation{Kind: "replace-osd", Target: "1", Command: "cephctl storage replace-osd 1", By: "root@node1", Started: time.Unix(1767323045, 0).UTC()}
		}, "node-remove-pre", removeNode2, vetoes,
		"cephctl: another operation of root@node1 was begun at 2026-01-02 03:04:05 and not finished: finish it with \"cephctl storage replace-osd 1\", or give it up with \"cephctl storage cancel\"",
	},
	{
		"Ganeti's remote API is down", offlineCommand, rapiDown, "node-modify-pre", offlineNode2, vetoes,
		"cephctl can't tell whether node2.lab may go: read Ganeti's configuration: reach Ganeti's remote API at 127.0.0.1:5080: dial tcp 127.0.0.1:5080: " + refusal1 + way,
	},
	{
		"cephctl has the wrong password (401)", offlineCommand, rapiPassword, "node-modify-pre", offlineNode2, vetoes,
		"cephctl can't tell whether node2.lab may go: read Ganeti's configuration: Ganeti's remote API does not know this user or password: compare with /var/lib/ganeti/rapi/users, which gnt-rapi must be able to read" + way,
	},
	{
		"Ganeti's master daemon is down (502)", offlineCommand, masterDaemon, "node-modify-pre", offlineNode2, vetoes,
		"cephctl can't tell whether node2.lab may go: read Ganeti's configuration: Ganeti's remote API is up and its master daemon is not (502 Bad Gateway): start it: /usr/lib/ganeti/daemon-util start ganeti-luxid, or see /var/log/ganeti/luxi-daemon.log" + way,
	},
	{
		"cephctl has no password", offlineCommand, noCredentials, "node-modify-pre", offlineNode2, vetoes,
		"cephctl can't tell whether this is safe: read the user of Ganeti's remote API: there is no /var/lib/ganeti/user: write \"USER PASSWORD\" into it, mode 0600, as in /var/lib/ganeti/rapi/users: if it is: cephctl hooks pause --for 10m",
	},
	{"Ganeti's remote API is down, and the node has nothing to do with storage", "gnt-node modify -O yes node3.lab", rapiDown, "node-modify-pre", offlineNode3, passes, ""},
	{"cephctl has no password, and the node has nothing to do with storage", "gnt-node modify -O yes node3.lab", noCredentials, "node-modify-pre", offlineNode3, passes, ""},
	{
		"Ganeti's remote API is down, and the node has nothing to do with storage", "gnt-node modify -O no node3.lab", rapiDown,
		"node-modify-pre", "OP_CODE=OP_NODE_SET_PARAMS OP_TARGET=node3.lab OFFLINE=False", passes, "",
	},
	{
		"Ganeti's remote API is down, and the node has nothing to do with storage", "gnt-node remove node3.lab", rapiDown,
		"node-remove-pre", "OP_CODE=OP_NODE_REMOVE NODE_NAME=node3.lab OP_TARGET=node3.lab", passes, "",
	},
	{
		"Ganeti's remote API is down, and so is its master daemon", "gnt-node modify -O yes node3.lab", func(s *hookSite) {
			rapiDown(s)
			s.cannotList = errors.New("Cannot communicate with the master daemon")
		}, "node-modify-pre", offlineNode3, vetoes,
		"cephctl can't tell whether node3.lab may go: read Ganeti's configuration: reach Ganeti's remote API at 127.0.0.1:5080: dial tcp 127.0.0.1:5080: " + refusal1 + way,
	},
	{
		"cephctl's settings are wrong", offlineCommand, wrongSettings, "node-modify-pre", offlineNode2, vetoes,
		"cephctl can't tell whether this is safe: usage: /etc/cephctl.yml: no setting is called parallels; did you mean parallel?: mend that first",
	},
	{
		"cephctl's settings are wrong, and this is not the master", offlineCommand, func(s *hookSite) {
			wrongSettings(s)
			s.write("ssconf_master_node", "node9.lab\n")
		}, "node-modify-pre", offlineNode2, passes, "",
	},
	{
		"what cephctl remembers can't be read", offlineCommand, brokenState, "node-modify-pre", offlineNode2, vetoes,
		"cephctl can't tell whether this is safe: read state /var/lib/cephctl/state.json: it is broken (unexpected end of JSON input): there is no version before it: restore the file from a backup: if it is: cephctl hooks pause --for 10m",
	},
	{"the storage group", "gnt-group remove default", nil, "group-remove-pre", "OP_CODE=OP_GROUP_REMOVE GROUP_NAME=default", vetoes, groupLine},
	{"the storage group, by its UUID", "gnt-group remove u1", nil, "group-remove-pre", "OP_CODE=OP_GROUP_REMOVE GROUP_NAME=u1", vetoes, groupLine},
	{"the storage group, whose tag is lost", "gnt-group rename default other", func(s *hookSite) { s.tags = "other" }, "group-rename-pre", "OP_CODE=OP_GROUP_RENAME OLD_NAME=default", vetoes, groupLine},
	{"another group, and Ganeti's remote API is down", "gnt-group remove spare", rapiDown, "group-remove-pre", "OP_CODE=OP_GROUP_REMOVE GROUP_NAME=spare", passes, ""},
	{
		"the storage group, and Ganeti's remote API is down", "gnt-group remove default", rapiDown, "group-remove-pre", "OP_CODE=OP_GROUP_REMOVE GROUP_NAME=default", vetoes,
		"cephctl can't tell whether default is the storage group: read Ganeti's configuration: reach Ganeti's remote API at 127.0.0.1:5080: dial tcp 127.0.0.1:5080: " + refusal1 + ": if it is not: cephctl hooks pause --for 10m",
	},
	{"another group", "gnt-group remove spare", nil, "group-remove-pre", "OP_CODE=OP_GROUP_REMOVE GROUP_NAME=spare", passes, ""},
	{"another pool under instances", poolCommand, atJob(setsPool(opGroupModify, "default", `{"pool": "fast"}`)), "group-modify-pre", groupDefault, vetoes, poolLine},
	{"the same pool", "gnt-group modify -D rbd:pool=rbd default", atJob(setsPool(opGroupModify, "default", `{"pool": "rbd"}`)), "group-modify-pre", groupDefault, passes, ""},
	{"another access, from the next start", "gnt-group modify -D rbd:access=kernelspace default", atJob(setsPool(opGroupModify, "default", `{"access": "kernelspace"}`)), "group-modify-pre", groupDefault, passes, ""},
	{
		"back to the cluster's pool under instances", "gnt-group modify -D rbd:pool=default default", func(s *hookSite) {
			s.groups["default"] = `{"rbd": {"pool": "fast"}}`
			s.job = setsPool(opGroupModify, "default", `{"pool": "default"}`)
		}, "group-modify-pre", groupDefault, vetoes, poolLine,
	},
	{"a group without instances", "gnt-group modify -D rbd:pool=fast spare", atJob(setsPool(opGroupModify, "spare", `{"pool": "fast"}`)), "group-modify-pre", "OP_CODE=OP_GROUP_SET_PARAMS GROUP_NAME=spare", passes, ""},
	{"the job of another group runs", "gnt-group modify --alloc-policy=last_resort spare", atJob(setsPool(opGroupModify, "default", `{"pool": "fast"}`)), "group-modify-pre", "OP_CODE=OP_GROUP_SET_PARAMS GROUP_NAME=spare", passes, ""},
	{"another pool under instances", "gnt-cluster modify -D rbd:pool=fast", atJob(setsPool(opClusterModify, "", `{"pool": "fast"}`)), "cluster-modify-pre", clusterAll, vetoes, poolLine},
	{"a pool of that name, under instances", "gnt-cluster modify -D rbd:pool=default", atJob(setsPool(opClusterModify, "", `{"pool": "default"}`)), "cluster-modify-pre", clusterAll, vetoes, poolLine},
	{"their group has a pool of its own", "gnt-cluster modify -D rbd:pool=fast", func(s *hookSite) {
		s.groups["default"] = `{"rbd": {"pool": "rbd"}}`
		s.job = setsPool(opClusterModify, "", `{"pool": "fast"}`)
	}, "cluster-modify-pre", clusterAll, passes, ""},
	{"cephctl's settings are wrong", "gnt-cluster modify -D rbd:pool=fast", wrongSettings, "cluster-modify-pre", clusterAll, passes, ""},
	{"what cephctl remembers can't be read", poolCommand, brokenState, "group-modify-pre", groupDefault, passes, ""},
	{"the job can't be looked at", "gnt-cluster modify -D rbd:pool=fast", nobodyTells, "cluster-modify-pre", clusterAll, passes, ""},
	{
		"the job can't be looked at, and is done", "gnt-cluster modify -D rbd:pool=fast", nobodyTells, "cluster-modify-post", clusterAll, warns,
		"cephctl could not look whether this moves the disks of instances: look at Ganeti's jobs: Ganeti's remote API says 500 Internal Server Error: if it does, change it back: gnt-group info",
	},
	{"its disks can be opened", startCommand, nil, "instance-start-pre", startWeb1, passes, ""},
	{"the node has no key", startCommand, lacksKey, "instance-start-pre", startWeb1, passes, ""},
	{
		"the node had no key, and the instance runs", startCommand, func(s *hookSite) {
			lacksKey(s)
			s.passes("instance-start-pre", startWeb1)
		}, "instance-start-post", startWeb1, warns, "warning: " + keyLine,
	},
	{"the node has no key, with `hooks.instances: refuse`", startCommand, refuses, "instance-start-pre", startWeb1, vetoes, keyLine},
	{
		"Ceph did not answer the node, with `hooks.instances: refuse`, and the instance runs", startCommand, func(s *hookSite) {
			refuses(s)
			s.said = &guest.Check{Unclear: []control.Blocker{{Node: "node2.lab", Text: "disk 0: the cluster does not answer", Cure: "see \"ceph status\""}}}
			s.passes("instance-start-pre", startWeb1)
		}, "instance-start-post", startWeb1, warns, `warning: cephctl: node2.lab: disk 0: the cluster does not answer: see "ceph status"`,
	},
	{
		"the pool has no name that QEMU takes, with `hooks.instances: refuse`", startCommand, func(s *hookSite) {
			refuses(s)
			s.groups["default"] = `{"rbd": {"pool": "a/b"}}`
		}, "instance-start-pre", startWeb1, vetoes, `cephctl: pool "a/b" of rbd in group default: want letters, digits, and _ . - in it, 64 at most, no . at the beginning: gnt-group modify -D rbd:pool=... default`,
	},
	{
		"the node may hang on its own OSDs, with `hooks.instances: refuse`", "gnt-instance migrate web1.lab", func(s *hookSite) {
			refuses(s)
			s.said = &guest.Check{Risks: []control.DiskRisk{{Level: 3, Text: "the node may hang", Cures: []string{"use access=userspace"}}}}
		}, "instance-migrate-pre", "OP_CODE=OP_INSTANCE_MIGRATE INSTANCE_NAME=web1.lab INSTANCE_PRIMARY=node1.lab NEW_PRIMARY=node2.lab INSTANCE_DISK_TEMPLATE=rbd", vetoes,
		"cephctl: node2.lab: the node may hang: use access=userspace",
	},
	{
		"a migration was broken off, with `hooks.instances: refuse`", "gnt-instance migrate --cleanup web1.lab", refuses, "instance-migrate-pre",
		"OP_CODE=OP_INSTANCE_MIGRATE INSTANCE_NAME=web1.lab INSTANCE_PRIMARY=node1.lab NEW_PRIMARY=node2.lab INSTANCE_DISK_TEMPLATE=rbd MIGRATE_CLEANUP=True", passes, "",
	},
	{"the watcher starts it, with `hooks.instances: refuse`", "ganeti-watcher", func(s *hookSite) {
		refuses(s)
		s.job = `{"OP_ID": "OP_INSTANCE_STARTUP", "instance_name": "web1.lab", "reason": [["gnt:watcher", "Restarting instance web1.lab", 1]]}`
	}, "instance-start-pre", startWeb1, passes, ""},
	{"cephctl starts it, which has looked itself, with `hooks.instances: refuse`", "cephctl instance start --allow-loopback web1.lab", func(s *hookSite) {
		refuses(s)
		s.job = `{"OP_ID": "OP_INSTANCE_STARTUP", "instance_name": "web1.lab", "reason": [["gnt:user", "cephctl", 1]]}`
	}, "instance-start-pre", startWeb1, passes, ""},
	{"the node does not answer, with `hooks.instances: refuse`", startCommand, func(s *hookSite) { refuses(s); s.said = nil }, "instance-start-pre", startWeb1, passes, ""},
	{"Ganeti's remote API is down, with `hooks.instances: refuse`", startCommand, func(s *hookSite) { refuses(s); rapiDown(s) }, "instance-start-pre", startWeb1, passes, ""},
	{"cephctl's settings are wrong", startCommand, wrongSettings, "instance-start-pre", startWeb1, passes, ""},
	{"what cephctl remembers can't be read", startCommand, brokenState, "instance-start-pre", startWeb1, passes, ""},
	{"its disks are files", startCommand, refuses, "instance-start-pre", strings.Replace(startWeb1, "=rbd", "=file", 1), passes, ""},
}

const hookHeading = `# What becomes of Ganeti's commands

Each case of a hook of cephctl's, with what Ganeti does, the line that its user reads and the exit code of the hook. Made
by the test that produces each row, by ` + "`make docs`" + `. How hooks work is in [ganeti.md](ganeti.md).

| command | case | | line | exit code |
|---|---|---|---|---|
`

// TestHookCases makes each row of the table of docs/hooks.md.
func TestHookCases(t *testing.T) {
	var table bytes.Buffer
	table.WriteString(hookHeading)
	for _, c := range hookCases {
		t.Run(c.command+": "+c.what, func(t *testing.T) {
			s := newHookSite(t)
			if c.set != nil {
				c.set(s)
			}
			line, code := s.run(c.hook, strings.Fields(c.environment)...)
			if line != c.line || (code != 0) != (c.verdict != passes) {
				t.Errorf("%s: exit status %d\n got %s\nwant %s", c.hook, code, line, c.line)
			}
			fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %d |\n", c.command, c.what, c.verdict, shown(line), code)
		})
	}
	if !t.Failed() {
		clitest.Generated(t, "../../docs/hooks.md", table.Bytes())
	}
}

// shown is a line in a cell of the table.
func shown(line string) string { return strings.ReplaceAll(line, "|", "\\|") }
