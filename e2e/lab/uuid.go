package lab

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// newUUID returns a random UUID.
func newUUID() string {
	var b [16]byte
	// Never fails: the runtime ends the program when the kernel gives no random bytes.
	_, _ = rand.Read(b[:])
	return formatUUID(b[:], 4)
}

// nameUUID returns the UUID that belongs to a name.
func nameUUID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return formatUUID(sum[:16], 8)
}

func formatUUID(b []byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
