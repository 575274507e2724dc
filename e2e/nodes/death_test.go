package nodes

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// TestMain lets this test binary be the process that TestNodesDieWithTheirMaker kills.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_TEST_MAKER") != "" {
		makeNodesAndHang()
	}
	os.Exit(m.Run())
}

// makeNodesAndHang starts nodes that use all that a node can, says when they boot and run, and waits for its end.
func makeNodesAndHang() {
	ctx := context.Background()
	nodes, err := lab.StartNodes(ctx, lab.NodesOptions{Count: 2, Progress: func(step string) {
		if strings.HasPrefix(step, "booting") {
			os.Stdout.WriteString("booting\n")
		}
	}})
	if err != nil {
		panic(err)
	}
	node := nodes.Node("node1")
	if err := node.SmallVar(ctx, 64); err != nil {
		panic(err)
	}
	device, err := node.Disk(ctx, 64)
	if err != nil {
		panic(err)
	}
	for _, args := range [][]string{{"sh", "-c", "exec sleep 1000 <" + device}, {"ping", "node2"}} {
		cmd, err := node.Command(ctx, args...)
		if err != nil {
			panic(err)
		}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	}
	if err := nodes.Node("node2").CutNetwork(ctx); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("running\n")
	// Until it is told to, or killed.
	_, _ = os.Stdin.Read(make([]byte, 1))
	panic("as asked")
}

func TestNodesDieWithTheirMaker(t *testing.T) {
	lab.RequireNodes(t)
	for _, death := range []struct{ name, when string }{
		{"killed", "running"},
		{"panic", "running"},
		{"killed at boot", "booting"},
	} {
		t.Run(death.name, func(t *testing.T) {
			maker := exec.Command(os.Args[0])
			tmp := t.TempDir()
			maker.Env = append(os.Environ(), "LAB_TEST_MAKER=1", "TMPDIR="+tmp)
			out, err := maker.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			in, err := maker.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := maker.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != death.when {
			}
			if lines.Text() != death.when {
				t.Fatalf("the maker ended: %v", maker.Wait())
			}
			var id string
			waitUntil(t, "a process in a control group", func() bool {
				id = controlGroup(t, tmp)
				return id != ""
			})
			if death.name == "panic" {
				in.Close()
			} else if err := maker.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = maker.Wait()
			waitUntil(t, "the end of all", func() bool {
				left := leftOf(t, tmp, id)
				if len(left) > 0 {
					t.Log(left)
				}
				return len(left) == 0
			})
		})
	}
}

func TestNodesStop(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	nodes := startNodes(t, lab.NodesOptions{Names: []string{"a", "b"}})
	node := nodes.Node("a")
	if _, err := node.Disk(t.Context(), 64); err != nil {
		t.Fatal(err)
	}
	if err := node.SmallVar(t.Context(), 64); err != nil {
		t.Fatal(err)
	}
	if left := leftOf(t, os.TempDir(), nodes.ID); len(left) < 4 {
		t.Errorf("nodes that run are no more than %q", left)
	}
	if err := nodes.Stop(); err != nil {
		t.Fatal(err)
	}
	// The kernel detaches a loop device a moment after it was closed.
	waitUntil(t, "the end of all", func() bool { return len(leftOf(t, os.TempDir(), nodes.ID)) == 0 })
	if err := nodes.Stop(); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

var labGroup = regexp.MustCompile(`(?m)^0::/(lab[0-9a-f]+)/`)

// controlGroup returns the control group of the nodes whose folder is in tmp, or "" while there is none.
func controlGroup(t *testing.T, tmp string) string {
	t.Helper()
	for _, process := range processes(t, tmp) {
		content, err := os.ReadFile(process + "/cgroup")
		if match := labGroup.FindSubmatch(content); err == nil && match != nil {
			return string(match[1])
		}
	}
	return ""
}

// processes returns the folders in /proc of the processes that see a mount of a folder in tmp, as all do that are in a
// node or run one.
func processes(t *testing.T, tmp string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), tmp) {
			found = append(found, filepath.Dir(file))
		}
	}
	return found
}

// leftOf returns what there is of the nodes whose folder is in tmp.
func leftOf(t *testing.T, tmp, id string) []string {
	t.Helper()
	left := processes(t, tmp)
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Name, id) {
			left = append(left, link.Name)
		}
	}
	for _, pattern := range []string{tmp + "/lab*", "/sys/fs/cgroup/" + id, "/sys/fs/cgroup/unified/" + id} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, paths...)
	}
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(content), tmp) {
			left = append(left, file)
		}
	}
	return left
}
