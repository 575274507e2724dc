package nodes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// commandTimeout bounds a run of cephctl: a drain on a busy machine takes its time.
const commandTimeout = 20 * time.Minute

// site is nodes with cephctl on them, of which the first is the master.
type site struct {
	*lab.Nodes
	t      *testing.T
	master *lab.Node
	// disks are the devices of each node, by its name.
	disks map[string][]string
	// muted is a health check that a release of Ceph always has.
	muted string
}

// newSite starts so many nodes with disks of 3 GiB and installs cephctl, which can be told to kill itself.
func newSite(t *testing.T, count, disks int) *site {
	t.Helper()
	return newSiteOf(t, lab.NodesOptions{Count: count}, disks)
}

func newSiteOf(t *testing.T, nodes lab.NodesOptions, disks int) *site {
	t.Helper()
	s := &site{Nodes: startNodes(t, nodes), t: t, disks: map[string][]string{}}
	s.master = s.Node("node1")
	if err := s.InstallBinary(t.Context(), buildCephctl(t), "/usr/sbin/cephctl"); err != nil {
		t.Fatal(err)
	}
	for _, node := range s.List() {
		s.addDisks(node, disks)
	}
	return s
}

// addVM adds a virtual machine with cephctl to the nodes. It may be called beside the test.
func (s *site) addVM(name string, vm lab.VM) (*lab.Node, error) {
	node, err := s.AddVM(s.t.Context(), name, vm)
	if err == nil {
		err = node.CopyFile(s.t.Context(), buildCephctl(s.t), "/usr/sbin/cephctl", 0o755)
	}
	return node, err
}

// part runs a part of a test under a name of its own. What follows builds on it.
func (s *site) part(name string, test func()) {
	t := s.t
	ok := t.Run(name, func(sub *testing.T) {
		s.t = sub
		test()
	})
	if s.t = t; !ok {
		t.Fatal("what follows builds on this")
	}
}

// importBoot makes an image from which a guest boots that writes size MiB, and halts or, when steady, goes on. The name is
// quoted where the shell wants it.
func (s *site) importBoot(image string, size int, steady bool) {
	s.t.Helper()
	if err := s.master.WriteFile(s.t.Context(), "/root/boot", lab.BootSector(size, steady), 0o600); err != nil {
		s.t.Fatal(err)
	}
	run(s.t, s.master, fmt.Sprintf("truncate -s %d /root/boot; rbd import --no-progress /root/boot %s", lab.BootImageSize(size), image))
}

func (s *site) addDisks(node *lab.Node, count int) {
	s.t.Helper()
	for range count {
		device, err := node.Disk(s.t.Context(), 3072)
		if err != nil {
			s.t.Fatal(err)
		}
		s.disks[node.Name] = append(s.disks[node.Name], device)
	}
}

// buildCephctl builds cephctl with its points of failure, or takes the binary that TEST_CEPHCTL names.
func buildCephctl(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TEST_CEPHCTL"); path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return abs
	}
	path := filepath.Join(t.TempDir(), "cephctl")
	if err := lab.BuildCephctl(t.Context(), path, "faults"); err != nil {
		t.Fatal(err)
	}
	return path
}

// result is how a run of cephctl ended.
type result struct {
	args           []string
	stdout, stderr string
	code           int
}

// cephctl runs cephctl on the master. It may fail.
func (s *site) cephctl(args ...string) result {
	s.t.Helper()
	return s.cephctlOn(s.master, nil, args...)
}

func (s *site) cephctlOn(node *lab.Node, env []string, args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTimeout)
	defer cancel()
	start := time.Now()
	cmd, err := node.Command(ctx, append(append([]string{"env"}, env...), append([]string{"cephctl"}, args...)...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	r := result{args: args, stdout: string(out), stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		s.t.Fatalf("cephctl %s: %v", strings.Join(args, " "), err)
	}
	s.t.Logf("cephctl %s: exit status %d after %s", strings.Join(args, " "), r.code, time.Since(start).Round(time.Second/10))
	return r
}

// cephctlAs runs cephctl on the master as another user.
func (s *site) cephctlAs(user string, args ...string) result {
	s.t.Helper()
	return s.cephctlOn(s.master, []string{"setpriv", "--reuid=" + user, "--regid=nogroup", "--clear-groups"}, args...)
}

// keyForm is what keys of Ceph's look like, those of release 20 too.
const keyForm = `A[Qg][A-Za-z0-9+/]{36,}={0,2}`

// watchArguments looks for keys in the arguments and the environment of all processes of all nodes, many times a second,
// until the function that it returns is called, which fails the test when there was one.
func (s *site) watchArguments() (wantNone func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	found := make(map[string]chan string)
	for _, node := range s.List() {
		cmd, err := node.Command(ctx, "sh", "-c", `echo watching; while sleep 0.1; do
			cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -aE '`+keyForm+`'
		done`)
		if err != nil {
			s.t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "watching\n" {
			s.t.Fatalf("who watches %s says %q: %v", node.Name, line, err)
		}
		keys := make(chan string, 1)
		found[node.Name] = keys
		go func() {
			text, _ := io.ReadAll(lines) // to the end, which is when it is killed
			_ = cmd.Wait()
			keys <- string(text)
		}()
	}
	return func() {
		s.t.Helper()
		stop()
		for name, keys := range found {
			if lines := <-keys; lines != "" {
				s.t.Errorf("arguments or environment on %s: %s", name, lines)
			}
		}
	}
}

// do runs cephctl on the master, which has to succeed.
func (s *site) do(args ...string) result {
	s.t.Helper()
	r := s.cephctl(args...)
	if r.code != 0 {
		s.t.Fatalf("cephctl %s: exit status %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r
}

// refused runs cephctl on the master, which has to refuse for these cases and no others.
func (s *site) refused(cases []string, args ...string) {
	s.t.Helper()
	r := s.cephctl(append(args, "-o", "json")...)
	var plan struct {
		Blockers []struct {
			Case string `json:"case"`
		} `json:"blockers"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &plan); err != nil {
		s.t.Fatalf("cephctl %s: %v\n%s%s", strings.Join(args, " "), err, r.stdout, r.stderr)
	}
	var got []string
	for _, b := range plan.Blockers {
		got = append(got, b.Case)
	}
	if fmt.Sprint(got) != fmt.Sprint(cases) || r.code != 3 {
		s.t.Errorf("cephctl %s: refused for %v with exit status %d, want %v and 3\n%s%s",
			strings.Join(args, " "), got, r.code, cases, r.stdout, r.stderr)
	}
}

// nothingToDo runs cephctl on the master, which has to say that there is nothing to do.
func (s *site) nothingToDo(args ...string) {
	s.t.Helper()
	if r := s.do(args...); !strings.Contains(r.stdout, "nothing to do") {
		s.t.Errorf("cephctl %s has done something again:\n%s%s", strings.Join(args, " "), r.stdout, r.stderr)
	}
}

// answer runs a command of Ceph's on the master and decodes its JSON.
func answer[T any](s *site, script string) T {
	s.t.Helper()
	var v T
	out := run(s.t, s.master, script+" -f json")
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		s.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return v
}

// cephStatus is what the tests need of `ceph status`.
type cephStatus struct {
	Health struct {
		Status string         `json:"status"`
		Checks map[string]any `json:"checks"`
	} `json:"health"`
	QuorumNames []string `json:"quorum_names"`
	Mgrmap      struct {
		Available   bool `json:"available"`
		NumStandbys int  `json:"num_standbys"`
	} `json:"mgrmap"`
	Osdmap struct {
		Total int `json:"num_osds"`
		Up    int `json:"num_up_osds"`
		In    int `json:"num_in_osds"`
	} `json:"osdmap"`
}

// wantCluster waits until Ceph says HEALTH_OK with so many mons and OSDs and two mgrs, one where there is one node, and no more.
func (s *site) wantCluster(mons, osds int) {
	s.t.Helper()
	var last cephStatus
	for deadline := time.Now().Add(9 * time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Second) {
		last = answer[cephStatus](s, "ceph status")
		if last.Health.Status == "HEALTH_OK" && len(last.QuorumNames) == mons && last.Mgrmap.Available &&
			last.Mgrmap.NumStandbys == min(1, len(s.List())-1) && last.Osdmap.Total == osds && last.Osdmap.Up == osds && last.Osdmap.In == osds {
			return
		}
	}
	s.t.Fatalf("want HEALTH_OK with %d mons, 2 mgrs and %d OSDs, got %+v\n%s", mons, osds, last, run(s.t, s.master, "ceph health detail; ceph osd tree"))
}
