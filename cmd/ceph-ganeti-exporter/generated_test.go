package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// generated compares a file with what it is generated from. With -update it is written.
func generated(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date, run make docs:\n%s", path, diff)
	}
}
