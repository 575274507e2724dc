package redact

import (
	"encoding/base64"
	"encoding/binary"
)

// makeKey makes a key as Ceph does: type, time, length, key.
func makeKey(random []byte, aes256k bool) string {
	kind, length := uint16(1), 16
	if aes256k {
		kind, length = 2, 32
	}
	raw := binary.LittleEndian.AppendUint16(nil, kind)
	raw = binary.LittleEndian.AppendUint32(raw, 1790000000)
	raw = binary.LittleEndian.AppendUint32(raw, 12345)
	raw = binary.LittleEndian.AppendUint16(raw, uint16(length))
	key := make([]byte, length)
	copy(key, random)
	return base64.StdEncoding.EncodeToString(append(raw, key...))
}
