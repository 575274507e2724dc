package rados

import (
	"os"
	"syscall"
	"time"
)

// stamp is how ceph.conf and the keyrings were when a connection was made, by path.
type stamp map[string]fileStamp

type fileStamp struct {
	inode   uint64
	size    int64
	changed time.Time
}

// add looks at files. One that cannot be read has an empty stamp: connecting says why.
func (s stamp) add(paths ...string) {
	for _, path := range paths {
		s[path] = fileStampOf(path)
	}
}

// changed tells whether any of the files is another one now.
func (s stamp) changed() bool {
	for path, was := range s {
		if fileStampOf(path) != was {
			return true
		}
	}
	return false
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
