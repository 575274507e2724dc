package run

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// pipe reads what a command prints. Once the command has ended it waits no longer than pipeDelay for more, so that
// what the command has left behind (an ssh master, a daemon) can't keep the reader by holding the other end. A reader
// that is slow loses nothing by it.
type pipe struct {
	file *os.File
	// ended says that the command has ended, left that nobody listens to it any more.
	ended, left atomic.Bool
}

// Read reads from the pipe.
func (p *pipe) Read(buf []byte) (int, error) {
	if p.left.Load() {
		return 0, io.EOF
	}
	if p.ended.Load() {
		p.bound(pipeDelay)
	}
	n, err := p.file.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, io.EOF
	}
	return n, err
}

// end says that the command has ended: what it has printed is still read.
func (p *pipe) end() {
	p.ended.Store(true)
	p.bound(pipeDelay)
}

// leave ends reading at once, whoever still writes.
func (p *pipe) leave() {
	p.left.Store(true)
	p.bound(0)
}

func (p *pipe) bound(d time.Duration) {
	_ = p.file.SetReadDeadline(time.Now().Add(d)) // a pipe that can't have one is at its end
}
