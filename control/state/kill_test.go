package state_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// writerPath tells the test's own program, started anew, to write there until it is killed.
const writerPath = "STATE_TEST_WRITER_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerPath); path != "" {
		writeForever(path)
	}
	os.Exit(m.Run())
}

func writeForever(path string) {
	f := state.NewFile(path)
	if _, err := f.Lock(context.Background(), "the writer of the test"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		var serial uint64
		err := f.Update(func(s *state.State) error {
			serial = s.Serial + 1
			s.Operation = &state.Operation{Kind: strings.Repeat("x", rand.IntN(1<<16))}
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(serial)
	}
}

// Killed at any point, the writer leaves a readable file with all that it has said it had written, and a free lock.
func TestFileSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	var serial uint64
	for range 25 {
		serial = max(serial, writeAndKill(t, path, serial))
		s, err := state.NewFile(path).Load()
		if err != nil {
			t.Fatal(err)
		}
		if s.Serial < serial {
			t.Fatalf("serial %d was written, %d is there", serial, s.Serial)
		}
	}
	if serial == 0 {
		t.Error("nothing was ever written")
	}
}

// writeAndKill returns the last serial that the writer has told, having written at least one.
func writeAndKill(t *testing.T, path string, last uint64) uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Error("the writer has written nothing")
	}
	killing := time.AfterFunc(rand.N(20*time.Millisecond), func() { _ = cmd.Process.Kill() })
	defer killing.Stop()
	for more := true; more; more = lines.Scan() {
		_, _ = fmt.Sscan(lines.Text(), &last)
	}
	_ = cmd.Wait() // it was killed
	return last
}
