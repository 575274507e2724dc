package kvm

import (
	"encoding/json"
	"fmt"
)

// BlockDevice is what QEMU says of one disk.
type BlockDevice struct {
	BlockID
	Source Source
	// Size is the virtual size in bytes; 0 when there is no medium.
	Size     uint64
	ReadOnly bool
	// Cache is the cache mode, as in QEMU's option "cache": none, writeback, writethrough, directsync, unsafe.
	Cache string
}

// ParseBlock reads the answer to QueryBlock.
func ParseBlock(answer []byte) ([]BlockDevice, error) {
	var message struct {
		Return *[]struct {
			Device   string
			Qdev     string
			Inserted *struct {
				Node     string `json:"node-name"`
				ReadOnly bool   `json:"ro"`
				Cache    cacheFlags
				Image    struct {
					Size     uint64 `json:"virtual-size"`
					Filename string
				}
			}
		}
	}
	if err := json.Unmarshal(answer, &message); err != nil {
		return nil, fmt.Errorf("parse block devices: %w: %w", ErrAnswer, err)
	}
	if message.Return == nil {
		return nil, fmt.Errorf("parse block devices: %w: no list", ErrAnswer)
	}
	devices := make([]BlockDevice, len(*message.Return))
	for i, d := range *message.Return {
		devices[i].BlockID = BlockID{Device: d.Device, Qdev: d.Qdev}
		if in := d.Inserted; in != nil {
			devices[i].Node = in.Node
			devices[i].Source = ParseFilename(in.Image.Filename)
			devices[i].Size = in.Image.Size
			devices[i].ReadOnly = in.ReadOnly
			devices[i].Cache = in.Cache.mode()
		}
	}
	return devices, nil
}

type cacheFlags struct {
	Writeback, Direct bool
	NoFlush           bool `json:"no-flush"`
}

func (f cacheFlags) mode() string {
	switch {
	case f.NoFlush:
		return "unsafe"
	case f.Direct && f.Writeback:
		return "none"
	case f.Direct:
		return "directsync"
	case f.Writeback:
		return "writeback"
	}
	return "writethrough"
}
