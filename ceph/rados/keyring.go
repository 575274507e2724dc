package rados

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// keyTypeAES256K is the type of the keys that Ceph 20 makes. Older librados cannot read them.
const keyTypeAES256K = 2

// keyProblem says what is wrong with a user's key after librados or a mon refused it, and what to do. librados
// itself tells these cases apart badly. No part of the key is in the text.
//
// malformed is set when librados did not understand the key, and not a mon.
func keyProblem(keyrings []string, user string, malformed bool) string {
	for _, path := range keyrings {
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Sprintf("keyring %s cannot be read: let the exporter's user read it", path)
		}
		key, ok := findKey(string(text), "client."+user)
		if !ok {
			return fmt.Sprintf("keyring %s has no key of client.%s: write ceph auth get client.%s into it", path, user, user)
		}
		if malformed {
			return malformedKey(key, path, user)
		}
		return fmt.Sprintf("the mons refuse the key in %s: compare it with ceph auth get client.%s", path, user)
	}
	return fmt.Sprintf("no keyring at %s: write ceph auth get client.%s into one", strings.Join(keyrings, " or "), user)
}

func malformedKey(key, path, user string) string {
	secret, err := base64.StdEncoding.DecodeString(key)
	if err == nil && len(secret) >= 2 && binary.LittleEndian.Uint16(secret) == keyTypeAES256K {
		return fmt.Sprintf("the key in %s is of type aes256k, malformed to the installed librados: give client.%s one with --key_type aes, or install librados 20",
			path, user)
	}
	return fmt.Sprintf("the key in %s is malformed: write ceph auth get client.%s into it", path, user)
}

// findKey returns the key of an entity from the text of a keyring.
func findKey(keyring, entity string) (key string, ok bool) {
	section := ""
	for line := range strings.Lines(keyring) {
		line = strings.TrimSpace(line)
		if name, found := strings.CutPrefix(line, "["); found {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if found && section == entity && strings.TrimSpace(name) == "key" {
			return strings.Trim(strings.TrimSpace(value), `"`), true
		}
	}
	return "", false
}
