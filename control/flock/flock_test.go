package flock_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/flock"
)

func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	me := flock.Me("cephctl node add node3")
	release, err := flock.Take(path, me)
	if err != nil {
		t.Fatal(err)
	}
	_, err = flock.Take(path, flock.Me("another"))
	var held *flock.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("error %v, want a HeldError", err)
	}
	if diff := cmp.Diff(me, held.Holder); diff != "" {
		t.Errorf("holder (-want +got):\n%s", diff)
	}
	release()
	release, err = flock.Take(path, flock.Me("another"))
	if err != nil {
		t.Fatalf("take what was released: %v", err)
	}
	release()
}

// A holder that has died leaves its words in the file, and they may be longer than those of the next.
func TestTakeOverTheWordsOfTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, []byte(strings.Repeat("no JSON ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	release, err := flock.Take(path, flock.Me("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	_, err = flock.Take(path, flock.Me("y"))
	if err == nil || !strings.HasSuffix(err.Error(), ": x") {
		t.Errorf("error %v does not name the holder", err)
	}
}

func TestHolderString(t *testing.T) {
	now := time.Now()
	tests := []struct {
		holder flock.Holder
		want   string
	}{
		{
			flock.Holder{PID: 4711, Who: "root@node1", Since: now, Command: "cephctl node modify --offline=yes node3"},
			"root@node1 (process 4711) since " + now.Format(time.TimeOnly) + ": cephctl node modify --offline=yes node3",
		},
		{
			flock.Holder{PID: 1, Who: "root@node1", Since: time.Date(2024, 5, 6, 7, 8, 9, 0, time.Local), Command: "x"},
			"root@node1 (process 1) since 2024-05-06 07:08:09: x",
		},
		{flock.Holder{}, "a process that has only just begun"},
	}
	for _, test := range tests {
		if got := test.holder.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
