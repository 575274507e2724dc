package rados

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	goceph "github.com/ceph/go-ceph/rados"
)

// keyTypeAES256K is the type of the keys that Ceph 20 makes.
const keyTypeAES256K = 2

// keyTypeHint says which librados can read the key, when the installed one cannot.
func (o Options) keyTypeHint() string {
	text, err := os.ReadFile(o.Keyring)
	if err != nil || keyType(string(text), "client."+o.User) != keyTypeAES256K {
		return ""
	}
	major, minor, patch := goceph.Version()
	return fmt.Sprintf(" to librados %d.%d.%d: it is of type aes256k, as Ceph 20 makes them; create the key with --key-type aes, or update librados", major, minor, patch)
}

// keyType returns the type number of a user's key in the text of a keyring, 0 when there is none.
func keyType(keyring, entity string) uint16 {
	section := ""
	for line := range strings.Lines(keyring) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || section != entity || strings.TrimSpace(name) != "key" {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || len(secret) < 2 {
			return 0
		}
		return binary.LittleEndian.Uint16(secret)
	}
	return 0
}
