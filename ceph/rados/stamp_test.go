package rados

import (
	"os"
	"path/filepath"
	"testing"
)

// The keyring that ceph.conf names, or librados looks for by itself, is watched like one that is set.
func TestPrepareStampsKeyring(t *testing.T) {
	dir := t.TempDir()
	config, keyring := filepath.Join(dir, "ceph.conf"), filepath.Join(dir, "client.exporter.keyring")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "[global]\nkeyring = "+dir+"/none.keyring, "+dir+"/$name.keyring\n")
	stamped := func(change func()) bool {
		t.Helper()
		conn, s, err := prepare(Options{Config: config, User: "exporter"})
		if err != nil {
			t.Fatal(err)
		}
		defer shutdown(conn)
		change()
		return s.changed()
	}
	for _, test := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"nothing", func() {}, false},
		{"keyring comes", func() { write(keyring, "[client.exporter]\n") }, true},
		{"keyring changes", func() { write(keyring, "[client.exporter]\n\tkey = x\n") }, true},
		{"another file", func() { write(filepath.Join(dir, "other"), "") }, false},
		{"keyring goes", func() { os.Remove(keyring) }, true},
		{"ceph.conf changes", func() { write(config, "[global]\n") }, true},
	} {
		if got := stamped(test.change); got != test.want {
			t.Errorf("%s: changed %v, want %v", test.name, got, test.want)
		}
	}
}
