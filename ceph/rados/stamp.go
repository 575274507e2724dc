package rados

import (
	"os"
	"syscall"
	"time"
)

// stamp tells whether ceph.conf and the keyring are still those of the connection.
type stamp [2]fileStamp

type fileStamp struct {
	inode   uint64
	size    int64
	changed time.Time
}

// stampOf looks at the files. One that cannot be read has an empty stamp: connecting says why.
func stampOf(config, keyring string) stamp {
	return stamp{fileStampOf(config), fileStampOf(keyring)}
}

func fileStampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	s := fileStamp{size: info.Size(), changed: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}
