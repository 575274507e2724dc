package lab

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets this test binary be the process that TestGroupDiesWithItsMaker kills.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_TEST_MAKER") != "" {
		makeGroupAndHang()
	}
	os.Exit(m.Run())
}

// makeGroupAndHang starts a group with a running and a stopped process, says so, and waits to be killed.
func makeGroupAndHang() {
	g, err := newGroup()
	if err != nil {
		panic(err)
	}
	if _, err := g.start("running", "sleep", "1000"); err != nil {
		panic(err)
	}
	stopped, err := g.start("stopped", "sh", "-c", "sleep 1000")
	if err != nil {
		panic(err)
	}
	if err := stopped.signal(syscall.SIGSTOP); err != nil {
		panic(err)
	}
	os.Stdout.WriteString(g.Dir + " " + strconv.Itoa(g.reaper.Process.Pid) + "\n")
	if os.Getenv("LAB_TEST_MAKER") == "panic" {
		panic("as asked")
	}
	select {}
}

func TestGroupDiesWithItsMaker(t *testing.T) {
	for _, death := range []string{"killed", "panic"} {
		t.Run(death, func(t *testing.T) {
			maker := exec.Command(os.Args[0])
			maker.Env = append(os.Environ(), "LAB_TEST_MAKER="+death)
			out, err := maker.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := maker.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			dir, pgid, _ := strings.Cut(strings.TrimSpace(line), " ")
			if death == "killed" {
				if err := maker.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			_ = maker.Wait()
			waitGone(t, dir, pgid)
		})
	}
}

// waitGone waits until the folder and the process group are gone.
func waitGone(t *testing.T, dir, pgid string) {
	t.Helper()
	err := waitFor(t.Context(), "the end of all processes", quickPoll, func() (bool, error) {
		return len(members(t, pgid)) == 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = waitFor(t.Context(), "the end of the folder", quickPoll, func() (bool, error) {
		_, err := os.Lstat(dir)
		return errors.Is(err, fs.ErrNotExist), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// members returns the pids of a process group, other than those that are dead and wait for their parent.
func members(t *testing.T, pgid string) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// After the name in brackets: state, parent, group.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if fields[2] == pgid && fields[0] != "Z" {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

func TestGroupClose(t *testing.T) {
	g, err := newGroup()
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := g.start("stopped", "sleep", "1000")
	if err != nil {
		t.Fatal(err)
	}
	if err := stopped.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	if pids := members(t, strconv.Itoa(g.reaper.Process.Pid)); len(pids) > 0 {
		t.Errorf("processes left: %v", pids)
	}
	if _, err := os.Lstat(g.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder left: %v", err)
	}
	if err := g.close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
