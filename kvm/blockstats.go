package kvm

import (
	"fmt"
	"math"
	"strings"

	"github.com/valyala/fastjson"
)

// BlockStats are the I/O counters of one disk, since QEMU opened it.
type BlockStats struct {
	BlockID
	Read, Write, Flush, Unmap Operations
	// IdleSeconds is how long ago the guest last used the disk, NaN when it has not yet.
	IdleSeconds float64
}

// Operations counts one kind of I/O. A flush has no bytes and is never merged.
type Operations struct {
	// Count is how many were done, not counting those that failed or were invalid.
	Count, Bytes, Merged, Failed, Invalid float64
	// Seconds is the sum of the times that they took.
	Seconds float64
}

// BlockID holds the names that QEMU has for a disk. With -drive the device has a name and the node's is made up;
// with -blockdev the device has none and the node's is given.
type BlockID struct {
	// Device is the name of a -drive.
	Device string
	// Node is the name of the topmost block node; empty when there is no medium, as in an empty CD drive.
	Node string
	// Qdev is the id of the -device, or its path in the tree of all devices.
	Qdev string
	// Below are the given names of the nodes below the topmost, as a throttle filter has one.
	Below []string
}

// Names returns all names of a disk that Ganeti may have given, the surest first.
func (id BlockID) Names() []string {
	names := make([]string, 0, 3+len(id.Below))
	for _, name := range append([]string{id.Device, qdevID(id.Qdev), id.Node}, id.Below...) {
		if name != "" && !generated(name) {
			names = append(names, name)
		}
	}
	return names
}

// qdevID returns ID of "/machine/peripheral/ID/virtio-backend". A device without an id has a path elsewhere.
func qdevID(qdev string) string {
	if id, ok := strings.CutPrefix(qdev, "/machine/peripheral/"); ok {
		id, _, _ = strings.Cut(id, "/")
		return id
	}
	if strings.HasPrefix(qdev, "/") {
		return ""
	}
	return qdev
}

// generated tells whether QEMU made up the name of a node.
func generated(name string) bool { return strings.HasPrefix(name, "#") }

// Same tells whether two ids are of the same disk with the same medium.
func (id BlockID) Same(other BlockID) bool {
	return id.Device == other.Device && id.Node == other.Node && id.Qdev == other.Qdev
}

// BlockStats reads the answer to QueryBlockStats. The result is valid until the next call.
func (p *Parser) BlockStats(answer []byte) ([]BlockStats, error) {
	if p.scanBlockStats(answer) {
		return p.stats, nil
	}
	if err := p.parseBlockStats(answer); err != nil {
		return nil, fmt.Errorf("parse block statistics: %w", err)
	}
	return p.stats, nil
}

// parseBlockStats reads an answer of any form.
func (p *Parser) parseBlockStats(answer []byte) error {
	tree := trees.Get()
	defer trees.Put(tree)
	message, err := parseTree(tree, answer)
	if err != nil {
		return err
	}
	disks := message.Get("return")
	if disks == nil || disks.Type() != fastjson.TypeArray {
		return fmt.Errorf("%w: \"return\" is no array", ErrAnswer)
	}
	p.stats = p.stats[:0]
	for _, disk := range disks.GetArray() {
		s, err := parseBlockStats(disk)
		if err != nil {
			return err
		}
		p.stats = append(p.stats, s)
	}
	return nil
}

func parseBlockStats(disk *fastjson.Value) (BlockStats, error) {
	s := BlockStats{IdleSeconds: math.NaN()}
	counters := disk.Get("stats")
	if counters == nil || counters.Type() != fastjson.TypeObject {
		return s, fmt.Errorf("%w: a disk without counters", ErrAnswer)
	}
	s.BlockID = BlockID{
		Device: string(disk.GetStringBytes("device")),
		Node:   string(disk.GetStringBytes("node-name")),
		Qdev:   string(disk.GetStringBytes("qdev")),
	}
	for node := disk.Get("parent"); node != nil; node = node.Get("parent") {
		if name := node.GetStringBytes("node-name"); len(name) > 0 && !generated(string(name)) {
			s.Below = append(s.Below, string(name))
		}
	}
	var err error
	counters.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		if field, unit := s.field(key); field != nil {
			n, e := v.Float64()
			if e != nil {
				err = fmt.Errorf("%w: counter %s: %w", ErrAnswer, key, e)
			}
			*field = n * unit
		}
	})
	return s, err
}

const nanosecond = 1e-9

// field returns where a counter goes and its unit; nil for one that is not ours.
func (s *BlockStats) field(key []byte) (field *float64, unit float64) {
	switch string(key) {
	case "rd_operations":
		return &s.Read.Count, 1
	case "rd_bytes":
		return &s.Read.Bytes, 1
	case "rd_merged":
		return &s.Read.Merged, 1
	case "rd_total_time_ns":
		return &s.Read.Seconds, nanosecond
	case "failed_rd_operations":
		return &s.Read.Failed, 1
	case "invalid_rd_operations":
		return &s.Read.Invalid, 1
	case "wr_operations":
		return &s.Write.Count, 1
	case "wr_bytes":
		return &s.Write.Bytes, 1
	case "wr_merged":
		return &s.Write.Merged, 1
	case "wr_total_time_ns":
		return &s.Write.Seconds, nanosecond
	case "failed_wr_operations":
		return &s.Write.Failed, 1
	case "invalid_wr_operations":
		return &s.Write.Invalid, 1
	case "flush_operations":
		return &s.Flush.Count, 1
	case "flush_total_time_ns":
		return &s.Flush.Seconds, nanosecond
	case "failed_flush_operations":
		return &s.Flush.Failed, 1
	case "invalid_flush_operations":
		return &s.Flush.Invalid, 1
	case "unmap_operations":
		return &s.Unmap.Count, 1
	case "unmap_bytes":
		return &s.Unmap.Bytes, 1
	case "unmap_merged":
		return &s.Unmap.Merged, 1
	case "unmap_total_time_ns":
		return &s.Unmap.Seconds, nanosecond
	case "failed_unmap_operations":
		return &s.Unmap.Failed, 1
	case "invalid_unmap_operations":
		return &s.Unmap.Invalid, 1
	case "idle_time_ns":
		return &s.IdleSeconds, nanosecond
	}
	return nil, 0
}
