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
	file  *os.File
	ended atomic.Bool
}

// Read reads from the pipe.
func (p *pipe) Read(buf []byte) (int, error) {
	if p.ended.Load() {
		p.bound()
	}
	n, err := p.file.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, io.EOF
	}
	return n, err
}

// end says that the command has ended, or is no longer listened to.
func (p *pipe) end() {
	p.ended.Store(true)
	p.bound()
}

func (p *pipe) bound() {
	_ = p.file.SetReadDeadline(time.Now().Add(pipeDelay)) // a pipe that can't have one is at its end
}
