package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/guest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// hookSite is a master of a Ganeti cluster as a hook of cephctl's finds it: its files, its remote API, and another node. The
// group default is the storage group, and web1 an instance of node2 with a disk in the pool rbd.
type hookSite struct {
	*app
	t    *testing.T
	out  bytes.Buffer
	rapi *httptest.Server
	// fails, when set, is the status with which the API answers each path that has the word before.
	fails map[string]int
	// groups are the own disk parameters of groups, and tags their tags.
	groups map[string]string
	tags   string
	// job is the operation that runs.
	job string
	// said is what node2 says of disks that are to be opened there; nothing when it does not answer.
	said *guest.Check
	// offline tells that the nodes are.
	offline bool
	// plan is what would be done with a node.
	plan control.Plan
	st   state.State
	// broken tells that the file with the state is no such file.
	broken bool
	// cannotList is why Ganeti's own commands list nothing.
	cannotList error
	// told is what hooks say beside the line.
	told bytes.Buffer
}

func newHookSite(t *testing.T) *hookSite {
	t.Helper()
	dir := t.TempDir()
	s := &hookSite{
		app: newApp(), t: t, tags: "distributed-storage:ceph", said: &guest.Check{},
		groups: map[string]string{"default": `{}`, "spare": `{}`}, fails: map[string]int{},
		st: state.State{Version: state.Version, Storage: map[string]*state.Storage{"ceph": {Group: "default", ID: "f"}}},
	}
	s.app.out, s.err = &s.out, &s.told
	newRootCommand(s.app)
	s.changeNode = func(_ *control.Env, c nodeChange) control.Change {
		kind := map[changeKind]string{nodeOffline: kindOffline, nodeRemove: "node-remove"}[c.kind]
		return control.Change{Kind: kind, Target: c.node.Name, Plan: func(context.Context, *control.Memory) (*control.Plan, error) {
			return &s.plan, nil
		}}
	}
	s.listed = func(context.Context, *ganeti.Site, control.Runner) (control.Cluster, error) {
		return control.Cluster{
			Groups: []control.Group{{Name: "default"}, {Name: "spare"}},
			Nodes:  []control.Node{{Name: "node2.lab", Group: "default"}, {Name: "node3.lab", Group: "spare"}},
		}, s.cannotList
	}
	s.rapi = httptest.NewTLSServer(s)
	t.Cleanup(s.rapi.Close)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	c := &s.config
	c.File = filepath.Join(dir, "cephctl.yml")
	c.StateDir, c.LogFile, c.Inventory = filepath.Join(dir, "state"), filepath.Join(dir, "log"), inventoryGaneti
	c.Ganeti = ganetiConfig{Dir: dir, Address: s.rapi.Listener.Addr().String(), Credentials: filepath.Join(dir, "user")}
	c.SSHCommand, c.Parallel, c.NodeTimeout, c.HookInstances = filepath.Join(dir, "ssh"), 2, time.Second, instancesWarn
	s.write("ssconf_cluster_name", "cluster.lab\n")
	s.write("ssconf_master_node", host+"\n")
	s.write("ssconf_master_candidates", host+"\n")
	s.write("user", "cephctl secret\n")
	s.write("rapi.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.rapi.Certificate().Raw})))
	return s
}

// write writes a file of Ganeti's.
func (s *hookSite) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.config.Ganeti.Dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// run calls a hook with what Ganeti would say to it, and returns what its user would read and the exit code.
func (s *hookSite) run(hook string, environment ...string) (line string, code int) {
	s.t.Helper()
	s.writeState()
	s.writeNode()
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		s.t.Setenv("GANETI_"+name, value)
	}
	s.out.Reset()
	err := runGanetiHook(s.t.Context(), s.app, hook)
	s.close()
	if err != nil && s.out.Len() == 0 {
		tell(&s.out, err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(s.out.String()), s.rapi.Listener.Addr().String(), "127.0.0.1:5080")
	dir := s.config.Ganeti.Dir
	return strings.NewReplacer(s.config.File, "/etc/cephctl.yml", s.config.StateDir, "/var/lib/cephctl", dir, "/var/lib/ganeti").Replace(text), exitCode(err)
}

// hold has somebody change things.
func (s *hookSite) hold() {
	s.t.Helper()
	release, err := state.NewFile(s.config.stateFile()).Lock(s.t.Context(), "cephctl node modify --offline=yes node2.lab")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(release)
}

// passes calls a hook that has to let Ganeti go on, and say nothing.
func (s *hookSite) passes(hook, environment string) {
	s.t.Helper()
	if line, code := s.run(hook, strings.Fields(environment)...); line != "" || code != 0 {
		s.t.Fatalf("%s: exit status %d, %s", hook, code, line)
	}
}

func (s *hookSite) writeState() {
	s.t.Helper()
	data, err := json.Marshal(s.st)
	if s.broken {
		data = data[:len(data)/2]
	}
	if err == nil {
		err = os.MkdirAll(s.config.StateDir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(s.config.stateFile(), data, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// writeNode writes what stands for ssh: it answers as the agent of the node would.
func (s *hookSite) writeNode() {
	s.t.Helper()
	script := "#!/bin/sh\necho 'ssh: connect to host node2.lab port 22: No route to host' >&2\nexit 255\n"
	if s.said != nil {
		var answer strings.Builder
		data, _ := json.Marshal(s.said)
		for _, e := range []agent.Event{{Kind: agent.KindHello, Protocol: agent.Protocol}, {Kind: agent.KindResult, Data: data}} {
			line, _ := json.Marshal(e)
			answer.Write(append(line, '\n'))
		}
		script = "#!/bin/sh\ncat >/dev/null\ncat <<'END'\n" + answer.String() + "END\n"
	}
	s.write("ssh", script)
	if err := os.Chmod(s.config.SSHCommand, 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// ServeHTTP is Ganeti's remote API.
func (s *hookSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "cephctl" || password != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	for word, status := range s.fails {
		if strings.Contains(r.URL.Path, word) {
			w.WriteHeader(status)
			return
		}
	}
	rows := ""
	switch r.URL.Path {
	case "/2/info":
		fmt.Fprint(w, `{"diskparams": {"rbd": {"pool": "rbd", "access": "userspace"}}}`)
		return
	case "/2/query/group":
		rows = row("default", "u1", json.RawMessage(`["`+s.tags+`"]`), json.RawMessage(s.groups["default"])) + "," +
			row("spare", "u2", []string{}, json.RawMessage(s.groups["spare"]))
	case "/2/query/node":
		for i, group := range []string{"u1", "u1", "u2"} {
			rows += "," + row(fmt.Sprintf("node%d.lab", i+1), group, fmt.Sprintf("10.9.0.%d", i+1), s.offline, []string{})
		}
	case "/2/query/instance":
		rows = row("web1.lab", "node2.lab", "rbd", 512)
	case "/2/query/job":
		if s.job != "" {
			rows = row([]json.RawMessage{json.RawMessage(s.job)}, []string{"running"})
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprint(w, `{"data": [`+strings.Trim(rows, ",")+`], "fields": []}`)
}

// row is a row of an answer to a query.
func row(values ...any) string {
	pairs := make([][2]any, len(values))
	for i, v := range values {
		pairs[i] = [2]any{0, v}
	}
	data, _ := json.Marshal(pairs)
	return string(data)
}
