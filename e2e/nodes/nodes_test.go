package nodes

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// startNodes starts nodes that end with the test.
func startNodes(t *testing.T, options lab.NodesOptions) *lab.Nodes {
	t.Helper()
	lab.RequireNodes(t)
	options.Progress = func(step string) { t.Log(step) }
	nodes, err := lab.StartNodes(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Stop(); err != nil {
			t.Error(err)
		}
	})
	return nodes
}

// run runs a shell script on a node and returns what it prints, without the last end of line.
func run(t *testing.T, node *lab.Node, script string) string {
	t.Helper()
	out, err := node.Exec(t.Context(), "sh", "-ec", script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// fails runs a shell script on a node that has to fail.
func fails(t *testing.T, node *lab.Node, script string) {
	t.Helper()
	out, err := node.Exec(t.Context(), "sh", "-ec", script)
	if !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("%s on %s: %v: %s", script, node.Name, err, out)
	}
}

// expect runs a shell script on a node and compares what it prints.
func expect(t *testing.T, node *lab.Node, script, want string) {
	t.Helper()
	if got := run(t, node, script); got != want {
		t.Errorf("%s on %s: got %q, want %q", script, node.Name, got, want)
	}
}

func TestNodes(t *testing.T) {
	nodes := startNodes(t, lab.NodesOptions{})
	for _, node := range nodes.List() {
		expect(t, node, "systemctl is-system-running", "running")
		// Nothing of Ceph's runs, but all of its targets do.
		expect(t, node, "pgrep ceph || true", "")
		expect(t, node, "systemctl is-enabled ceph.target ceph-mon.target ceph-mgr.target ceph-osd.target | uniq", "enabled")
		expect(t, node, "systemctl is-active ceph.target ceph-mon.target ceph-mgr.target ceph-osd.target | uniq", "active")
	}
	t.Run("exec", func(t *testing.T) { testExec(t, nodes.Node("node1")) })
	t.Run("ssh", func(t *testing.T) { testSSH(t, nodes) })
	t.Run("add", func(t *testing.T) { testAdd(t, nodes) })
	t.Run("network", func(t *testing.T) { testNetwork(t, nodes) })
	t.Run("reboot", func(t *testing.T) { testReboot(t, nodes.Node("node2")) })
	t.Run("power", func(t *testing.T) { testPower(t, nodes) })
}

func testExec(t *testing.T, node *lab.Node) {
	expect(t, node, "pwd; id -un; hostname", "/root\nroot\nnode1")
	out, err := node.ExecInput(t.Context(), strings.NewReader("input"), "tr", "a-z", "A-Z")
	if err != nil || string(out) != "INPUT" {
		t.Errorf("got %q, %v", out, err)
	}
	_, err = node.Exec(t.Context(), "sh", "-c", "echo reason >&2; exit 7")
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 7 || !strings.Contains(err.Error(), "reason") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := node.Exec(ctx, "sleep", "1234"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	waitUntil(t, "the end of what was cancelled", func() bool {
		return run(t, node, "pgrep -x sleep || true") == ""
	})
}

func testSSH(t *testing.T, nodes *lab.Nodes) {
	for _, from := range nodes.List() {
		for _, to := range nodes.List() {
			expect(t, from, "ssh -o BatchMode=yes "+to.Name+" hostname", to.Name)
			expect(t, from, "ssh -o BatchMode=yes "+to.Address+" hostname", to.Name)
		}
	}
	// It is not that nobody asks.
	fails(t, nodes.Node("node1"), "ssh -o BatchMode=yes -o GlobalKnownHostsFile=/dev/null node2 hostname")
}

func testAdd(t *testing.T, nodes *lab.Nodes) {
	node, err := nodes.AddNode(t.Context(), "extra")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, nodes.Node("node1"), "ssh -o BatchMode=yes extra hostname", "extra")
	expect(t, node, "ssh -o BatchMode=yes node1 hostname", "node1")
	if _, err := nodes.AddNode(t.Context(), "node1"); err == nil {
		t.Error("no error for a second node1")
	}
	program := t.TempDir() + "/program"
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec hostname"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := nodes.InstallBinary(t.Context(), program, "/usr/local/bin/program"); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes.List() {
		expect(t, node, "program", node.Name)
	}
}

func testNetwork(t *testing.T, nodes *lab.Nodes) {
	node1, node2 := nodes.Node("node1"), nodes.Node("node2")
	if err := node2.CutNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	fails(t, node1, "ping -c 1 -W 1 node2")
	if err := node2.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	fails(t, node1, "ping -c 1 -W 1 node2")
	if err := node2.RestoreNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the network", func() bool {
		_, err := node1.Exec(t.Context(), "ping", "-c", "1", "-W", "1", "node2")
		return err == nil
	})
}

func testReboot(t *testing.T, node *lab.Node) {
	run(t, node, "echo here >/root/file; echo here >/run/file; systemd-run --quiet --unit=stops --property=ExecStop='touch /root/stopped' sleep inf")
	before := run(t, node, "cat /proc/sys/kernel/random/boot_id")
	if err := node.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, node, "cat /root/file; ls /root/stopped; ls /run/file 2>/dev/null || true", "here\n/root/stopped")
	if run(t, node, "cat /proc/sys/kernel/random/boot_id") == before {
		t.Error("it did not boot")
	}
	expect(t, node, "systemctl is-system-running", "running")
	expect(t, node, "ssh -o BatchMode=yes node1 hostname", "node1")
}

func testPower(t *testing.T, nodes *lab.Nodes) {
	node1, node2 := nodes.Node("node1"), nodes.Node("node2")
	run(t, node2, "rm -f /root/stopped; systemd-run --quiet --unit=stops --property=ExecStop='touch /root/stopped' sleep inf")
	if err := node2.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := node2.Exec(t.Context(), "true"); err == nil {
		t.Error("no error from a node that is off")
	}
	if err := node2.Kill(t.Context()); err == nil {
		t.Error("no error of a second Kill")
	}
	fails(t, node1, "ping -c 1 -W 1 node2")
	if err := node2.WriteFile(t.Context(), "/root/new/file", []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := node2.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, node2, "ls /root/stopped 2>/dev/null || true; cat /root/new/file; stat -c %a /root/new/file", "text640")
	if err := node2.Start(t.Context()); err == nil {
		t.Error("no error of a second Start")
	}
	if err := node2.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := node2.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, node1, "ssh -o BatchMode=yes node2 hostname", "node2")
}

// waitTimeout bounds a wait. What comes at all comes within it on a busy machine too.
const waitTimeout = 10 * time.Minute

// waitUntil waits until something is so.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitTimeout); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", waitTimeout, what)
		}
	}
}
