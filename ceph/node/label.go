package node

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
)

// labelMagic begins the label of every device that BlueStore uses.
const labelMagic = "bluestore block device\n"

// labelSize is how much of a device a label may take.
const labelSize = 4096

// errNoLabel is in the error when a device has no BlueStore label.
var errNoLabel = errors.New("no BlueStore label")

// label is what BlueStore writes at the beginning of a device. The key that is in it is not read.
type label struct {
	UUID        string
	Description string
	Meta        map[string]string
}

// osd returns the OSD that the label names.
func (l label) osd() DeviceOSD {
	id, err := strconv.Atoi(l.Meta["whoami"])
	if err != nil {
		id = -1
	}
	return DeviceOSD{
		ID: id, UUID: l.UUID, FSID: l.Meta["ceph_fsid"],
		// The OSD writes the second at the very end of its mkfs, BlueStore the first a little before.
		Complete: l.Meta["mkfs_done"] == "yes" && l.Meta["ready"] == "ready",
	}
}

// parseLabel reads a label: the magic, the uuid as text, and a structure of Ceph's encoding (version, oldest version
// that can read it, length) with the uuid, the size, the time, a description and a map.
func parseLabel(data []byte) (label, error) {
	if !bytes.HasPrefix(data, []byte(labelMagic)) {
		return label{}, errNoLabel
	}
	const uuidLine = 37
	r := &labelReader{rest: data[len(labelMagic):]}
	r.take(uuidLine)
	header := r.take(6)
	if r.bad || header[1] > 2 {
		return label{}, errors.New("read BlueStore label: unknown form")
	}
	l := label{UUID: formatUUID(r.take(16))}
	r.take(8 + 8)
	l.Description = r.text()
	l.Meta = r.pairs()
	if r.bad {
		return label{}, errors.New("read BlueStore label: it is cut off")
	}
	return l, nil
}

// labelReader takes values from the front of a label, and remembers that there were too few bytes.
type labelReader struct {
	rest []byte
	bad  bool
}

func (r *labelReader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		// Callers look at fixed positions before they look at bad.
		return make([]byte, 16)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *labelReader) number() int {
	n := binary.LittleEndian.Uint32(r.take(4))
	if n > labelSize {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *labelReader) text() string {
	taken := r.take(r.number())
	if r.bad {
		return ""
	}
	return string(taken)
}

// pairs reads a map, and leaves the OSD's key where it is.
func (r *labelReader) pairs() map[string]string {
	count := r.number()
	pairs := make(map[string]string)
	for i := 0; i < count && !r.bad; i++ {
		key := r.text()
		if key == "osd_key" {
			r.take(r.number())
			continue
		}
		pairs[key] = r.text()
	}
	return pairs
}

func formatUUID(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// readLabel reads the label of a device or file. It opens nothing that would change when it is closed.
func readLabel(path string) (label, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return label{}, err
	}
	defer file.Close()
	return readLabelAt(file, 0)
}

func readLabelAt(file io.ReaderAt, at int64) (label, error) {
	data := make([]byte, labelSize)
	n, err := file.ReadAt(data, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return label{}, fmt.Errorf("read label: %w", err)
	}
	return parseLabel(data[:n])
}

// labelPositions are where BlueStore keeps copies of its label, from release 19 on.
func labelPositions() []int64 {
	const gib = 1 << 30
	return []int64{0, gib, 10 * gib, 100 * gib, 1000 * gib}
}
