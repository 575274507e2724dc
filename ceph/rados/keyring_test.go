package rados

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	aesKey    = "AQAbcdefaBcdEBAAg0123456789abcdefABCDEFGHIJKLMNO"
	aes256Key = "AgAbcdefaBcdECAAg0123456789abcdefABCDEFGHIJKLMNO"
)

func TestKeyProblem(t *testing.T) {
	keyring := func(key string) string { return "[client.other]\n\tkey = x\n[client.exporter]\n\tkey = " + key + "\n" }
	for _, test := range []struct {
		name, text string
		malformed  bool
		want       string
	}{
		{"refused", keyring(aesKey), false, "the mons refuse the key"},
		{"not ours", "[client.admin]\n\tkey = " + aesKey + "\n", false, "has no key of client.exporter"},
		{"no key at all", "", false, "has no key of client.exporter"},
		{"cut off", keyring("AQ"), true, "is malformed: write ceph auth get client.exporter"},
		{"of release 20", keyring(aes256Key), true, "is of type aes256k"},
		{"of release 20 and refused", keyring(aes256Key), false, "the mons refuse the key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyring")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := keyProblem([]string{"/nonexistent/keyring", path}, "exporter", test.malformed)
			if !strings.Contains(got, test.want) || !strings.Contains(got, path) {
				t.Errorf("%q, want %q", got, test.want)
			}
			if strings.Contains(got, aesKey[4:]) || strings.Contains(got, aes256Key[4:]) {
				t.Errorf("%q tells the key", got)
			}
		})
	}
}

func TestKeyProblemWithoutKeyring(t *testing.T) {
	want := "no keyring at /nonexistent/a or /nonexistent/b: write ceph auth get client.exporter into one"
	if got := keyProblem([]string{"/nonexistent/a", "/nonexistent/b"}, "exporter", false); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzFindKey(f *testing.F) {
	f.Add("[client.exporter]\n\tkey = "+aesKey+"\n\tcaps mon = \"allow r\"\n", "client.exporter")
	f.Add("[client.a]\nkey=\n[client.b]\nkey = \"x\"", "client.b")
	f.Fuzz(func(t *testing.T, keyring, entity string) {
		if key, ok := findKey(keyring, entity); ok && !strings.Contains(keyring, key) {
			t.Errorf("key %q is not in %q", key, keyring)
		}
	})
}
