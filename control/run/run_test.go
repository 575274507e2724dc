package run_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

func TestRun(t *testing.T) {
	tests := []struct {
		name  string
		stdin []byte
		argv  []string
		want  string
		err   string
		code  int
	}{
		{name: "stdout", argv: []string{"echo", "a b"}, want: "a b\n"},
		{name: "stdin", stdin: []byte("key"), argv: []string{"cat"}, want: "key"},
		{name: "no stdin", argv: []string{"cat"}},
		{name: "stdin that nobody reads", stdin: make([]byte, 1<<20), argv: []string{"true"}},
		{
			name: "exit status", argv: []string{"sh", "-c", `echo half; printf "1\n2\n\n 3 \n4\n" >&2; exit 22`},
			want: "half\n", code: 22,
			err: `run sh -c 'echo half; printf "1\n2\n\n 3 \n4\n" >&2; exit 22': exit status 22: 2; 3; 4`,
		},
		{name: "signal", argv: []string{"sh", "-c", "kill -9 $$"}, code: -1, err: "run sh -c 'kill -9 $$': signal: killed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := run.Runner{}
			got, err := r.Run(t.Context(), test.stdin, test.argv...)
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if test.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var coder interface{ ExitCode() int }
			if !errors.As(err, &coder) || coder.ExitCode() != test.code {
				t.Errorf("error %#v has not the exit code %d", err, test.code)
			}
			if diff := cmp.Diff(test.err, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunNotStarted(t *testing.T) {
	r := run.Runner{}
	for _, argv := range [][]string{nil, {"no-such-program"}, {"/no/such/program", "x"}} {
		_, err := r.Run(t.Context(), nil, argv...)
		var ended *run.Error
		if err == nil || errors.As(err, &ended) {
			t.Errorf("run %q: error %v, want one of a command that was not started", argv, err)
		}
	}
	if _, err := r.Run(t.Context(), nil, "no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v does not wrap exec.ErrNotFound", err)
	}
}

func TestRunEnvironment(t *testing.T) {
	t.Setenv("CEPH_ARGS", "--keyring=/elsewhere")
	t.Setenv("HOME", "/home/admin")
	t.Setenv("PATH", "/nowhere")
	r := run.Runner{Env: []string{"EXTRA=1"}}
	got, err := r.Run(t.Context(), nil, "env")
	if err != nil {
		t.Fatal(err)
	}
	want := "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\nHOME=/home/admin\nEXTRA=1\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestRunLooksInItsOwnPath(t *testing.T) {
	dir := t.TempDir()
	script(t, filepath.Join(dir, "ceph"), "echo stand-in")
	r := run.Runner{Env: []string{"PATH=" + dir}}
	got, err := r.Run(t.Context(), nil, "ceph")
	if err != nil || string(got) != "stand-in\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRunLimit(t *testing.T) {
	r := run.Runner{Limit: 1000}
	_, err := r.Run(t.Context(), nil, "yes")
	if err == nil || !strings.Contains(err.Error(), "too much output") {
		t.Errorf("error %v, want one about too much output", err)
	}
}

func TestRunKeepsTheEndOfStderr(t *testing.T) {
	r := run.Runner{}
	_, err := r.Run(t.Context(), nil, "sh", "-c", "seq 10000 >&2; exit 1")
	var end *run.Error
	if !errors.As(err, &end) || len(end.Stderr) != 4<<10 || !strings.HasSuffix(end.Stderr, "9999\n10000\n") {
		t.Errorf("error %#v does not hold the last 4 KiB", err)
	}
}

// A shell that ignores SIGTERM and has a child which does so too: both are gone when Run returns.
func TestRunEndsTheWholeGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		waitFor(t, func() bool { return len(readPIDs(pids)) == 2 })
	}()
	r := run.Runner{}
	_, err := r.Run(ctx, nil, "sh", "-c", `trap "" TERM; sleep 1000 & echo $! >`+pids+`; echo $$ >>`+pids+`; wait; wait; sleep 1000`)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not wrap context.Canceled", err)
	}
	for _, pid := range readPIDs(pids) {
		if syscall.Kill(pid, 0) == nil && !isZombie(pid) {
			t.Errorf("process %d lives on", pid)
		}
	}
}

// What a command leaves behind (a daemon) holds its output open. That neither hangs nor fails the command.
func TestRunLeavesWhatHoldsThePipes(t *testing.T) {
	r := run.Runner{}
	for _, do := range []func(argv ...string) (string, error){
		func(argv ...string) (string, error) {
			out, err := r.Run(t.Context(), nil, argv...)
			return string(out), err
		},
		func(argv ...string) (string, error) {
			var out []byte
			err := r.Stream(t.Context(), run.Stream{Argv: argv, Read: func(in io.Reader) { out, _ = io.ReadAll(in) }})
			return string(out), err
		},
	} {
		pids := filepath.Join(t.TempDir(), "pids")
		out, err := do("sh", "-c", "setsid sleep 1000 & echo $! >"+pids+"; echo started")
		if out != "started\n" || err != nil {
			t.Errorf("got %q, %v", out, err)
		}
		for _, pid := range readPIDs(pids) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestRunDeadlineCause(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // to start
	defer cancel()
	r := run.Runner{}
	_, err := r.Run(ctx, nil, "sleep", "1000")
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "run sleep 1000: stopped: context deadline exceeded" {
		t.Errorf("error %v", err)
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	var lines []string
	r := run.Runner{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Host: "node1",
		OnRun: func(line string) { lines = append(lines, line) },
	}
	for _, argv := range [][]string{{"cat", "-"}, {"sh", "-c", "cat; exit 3"}, {"no-such-program"}} {
		_, err := r.Run(t.Context(), []byte("AQBsecret=="), argv...)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v holds standard input", err)
		}
	}
	if diff := cmp.Diff([]string{"cat -", "sh -c 'cat; exit 3'"}, lines); diff != "" {
		t.Errorf("OnRun (-want +got):\n%s", diff)
	}
	for _, want := range []string{`host=node1 command="cat -" duration=`, "outcome=done", `outcome="exit status 3"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("log holds standard input or output:\n%s", &log)
	}
}

func TestStream(t *testing.T) {
	r := run.Runner{}
	var got []string
	err := r.Stream(t.Context(), run.Stream{
		Argv: []string{"sh", "-c", "cat; seq 3; seq 100000"}, Stdin: []byte("request\n"),
		Read: func(in io.Reader) { // leaves most of it unread
			for s := bufio.NewScanner(in); len(got) < 4 && s.Scan(); {
				got = append(got, s.Text())
			}
		},
	})
	if diff := cmp.Diff([]string{"request", "1", "2", "3"}, got); diff != "" || err != nil {
		t.Errorf("error %v, lines (-want +got):\n%s", err, diff)
	}
}

// The end of ctx ends a command that is streamed, unless it is to outlive it. Its reader meets the end of file in
// both cases.
func TestStreamWhenContextEnds(t *testing.T) {
	for _, outlive := range []bool{false, true} {
		t.Run("outlive="+strconv.FormatBool(outlive), func(t *testing.T) {
			dir := t.TempDir()
			goOn, done := filepath.Join(dir, "go"), filepath.Join(dir, "done")
			ctx, cancel := context.WithCancel(t.Context())
			r := run.Runner{}
			err := r.Stream(ctx, run.Stream{
				Argv:    []string{"sh", "-c", "trap '' PIPE; until [ -e " + goOn + " ]; do echo at it; sleep 0.02; done 2>&-; touch " + done},
				Outlive: outlive,
				Read: func(in io.Reader) {
					_, _ = bufio.NewReader(in).ReadString('\n')
					cancel()
				},
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v does not wrap context.Canceled", err)
			}
			if err := os.WriteFile(goOn, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if outlive {
				waitFor(t, func() bool { _, err := os.Stat(done); return err == nil })
			} else if _, err := os.Stat(done); err == nil {
				t.Error("the command went on")
			}
		})
	}
}

func script(t *testing.T, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func readPIDs(path string) []int {
	data, _ := os.ReadFile(path)
	var pids []int
	for _, word := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isZombie says whether a process has ended and only its parent (in a container, the first process) has not looked.
func isZombie(pid int) bool {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, after, _ := strings.Cut(string(data), ") ")
	return strings.HasPrefix(after, "Z")
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Error("waited in vain")
			return
		}
	}
}
