package state_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

func TestFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cephctl", "state.json")
	f := state.NewFile(path)
	defer lock(t, f)()
	begun := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	want := &state.State{
		Version: state.Version, Serial: 2,
		Storage:   map[string]*state.Storage{"ceph": {ID: "f00d", Group: "default", Options: map[string][]string{"network": {"10.0.0.0/24"}}}},
		Operation: &state.Operation{Kind: "offline", Target: "node3", Started: begun, By: "root@node1", Done: []string{"a"}},
	}
	update(t, f, func(s *state.State) { s.Storage["ceph"] = want.Storage["ceph"] })
	update(t, f, func(s *state.State) { s.Operation = want.Operation })
	got, err := state.NewFile(path).Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	for path, mode := range map[string]os.FileMode{filepath.Dir(path): 0o755, path: 0o600, path + ".1": 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has not the mode %o: %v, %v", path, mode, info, err)
		}
	}
	if previous, err := os.ReadFile(path + ".1"); err != nil || !strings.Contains(string(previous), `"serial": 1`) {
		t.Errorf("the previous version is %s, %v", previous, err)
	}
}

func TestFileLoad(t *testing.T) {
	tests := []struct {
		name, file, previous string
		err                  []string
	}{
		{name: "new installation"},
		{name: "whole", file: `{"version": 1}`},
		{name: "gone", previous: `{"version": 1}`, err: []string{"state.json is gone", "cp -p ", "state.json.1"}},
		{name: "newer", file: `{"version": 7, "storage": []}`, err: []string{"state.json", "version 7", "up to 1", "install"}},
		{name: "empty", file: " ", err: []string{"state.json", "broken", "backup"}},
		{name: "cut off", file: `{"version": 1, "sto`, previous: `{"version": 1}`, err: []string{"broken", "cp -p ", "state.json.1"}},
		{name: "no version", file: `{}`, err: []string{"broken", "no version"}},
		{name: "null", file: `{"version": 1, "storage": {"ceph": null}}`, err: []string{"broken", "nothing is known of storage type ceph"}},
		{name: "other types", file: `{"version": 1, "serial": "x"}`, err: []string{"broken", "serial"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.json")
			put(t, path, test.file)
			put(t, path+".1", test.previous)
			f := state.NewFile(path)
			s, err := f.Load()
			if len(test.err) == 0 {
				if err != nil || s.Version != state.Version || s.Storage == nil {
					t.Errorf("got %v, %v", s, err)
				}
				return
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v lacks %q", err, want)
				}
			}
			defer lock(t, f)()
			if err := f.Update(func(*state.State) error { return nil }); err == nil {
				t.Error("Update has begun anew")
			}
		})
	}
}

func TestFileUpdateOrNothing(t *testing.T) {
	f := state.NewFile(filepath.Join(t.TempDir(), "state.json"))
	none := func(*state.State) error { return nil }
	if err := f.Update(none); !errors.Is(err, state.ErrNotLocked) {
		t.Errorf("update without the lock: %v", err)
	}
	release := lock(t, f)
	update(t, f, func(*state.State) {})
	refusal := errors.New("no")
	err := f.Update(func(s *state.State) error {
		s.Operation = &state.Operation{Kind: "offline"}
		return refusal
	})
	if s, _ := f.Load(); !errors.Is(err, refusal) || s.Operation != nil || s.Serial != 1 {
		t.Errorf("error %v, state %v", err, s)
	}
	release()
	release() // twice does no harm
	if err := f.Update(none); !errors.Is(err, state.ErrNotLocked) {
		t.Errorf("update after the release: %v", err)
	}
}

func TestFileUpdateAtOnce(t *testing.T) {
	f := state.NewFile(filepath.Join(t.TempDir(), "state.json"))
	defer lock(t, f)()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { update(t, f, func(*state.State) {}) })
	}
	all.Wait()
	if s, err := f.Load(); err != nil || s.Serial != 20 {
		t.Errorf("state %v, %v after 20 updates", s, err)
	}
}

func TestFileLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	defer lock(t, state.NewFile(path))()
	_, err := state.NewFile(path).Lock(t.Context(), "another")
	if !errors.Is(err, state.ErrLocked) {
		t.Fatalf("error %v does not wrap ErrLocked", err)
	}
	for _, want := range []string{"somebody else is at work: ", " (process ", " since ", ": cephctl test"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := state.NewFile(path).Lock(ctx, "late"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not wrap context.Canceled", err)
	}
}

func lock(t *testing.T, f *state.File) (release func()) {
	t.Helper()
	release, err := f.Lock(t.Context(), "cephctl test")
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func update(t *testing.T, f *state.File, change func(*state.State)) {
	t.Helper()
	err := f.Update(func(s *state.State) error {
		change(s)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if content == "" {
		return
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
