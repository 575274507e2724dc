package krbd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Parent is a snapshot that a clone reads from where it has no data of its own.
type Parent struct {
	// Pool and PoolID are the pool that its image is named in: the kernel does not say of a parent where its data are.
	Pool    string
	PoolID  uint64
	ImageID string
}

// Parents reads what a mapping still reads from, nearest first: none when it is no clone, or is one no more. id is the
// number in its device's name.
func Parents(sysfs, id string) ([]Parent, error) {
	text, err := os.ReadFile(filepath.Join(sysfs, "bus", "rbd", "devices", id, "parent"))
	if err != nil {
		return nil, err
	}
	return parseParents(string(text))
}

// parseParents takes the attribute parent: a line "KEY VALUE" for each of pool_id, pool_name, pool_ns, image_id,
// image_name, snap_id, snap_name and overlap, then an empty line and the parent's own parent; or "(no parent image)". A
// clone that was flattened while it is mapped has an overlap of 0.
func parseParents(text string) ([]Parent, error) {
	var all []Parent
	var p Parent
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "pool_id":
			id, err := parseNumber(value)
			if err != nil {
				return nil, fmt.Errorf("parse parent: %w", err)
			}
			p = Parent{PoolID: id}
		case "pool_name":
			p.Pool = value
		case "image_id":
			p.ImageID = value
		case "overlap":
			if value == "0" {
				return all, nil
			}
			all = append(all, p)
		}
	}
	return all, nil
}
