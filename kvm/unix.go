package kvm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Use tells who uses a listening UNIX socket.
type Use struct {
	// Listening is true when a process listens on the socket.
	Listening bool
	// Accepted are the inodes of the connections that it has accepted.
	Accepted []uint64
	// Queued is how many connections wait to be accepted.
	Queued int
}

// Free tells whether somebody listens and nobody is connected or waits.
func (u Use) Free() bool { return u.Listening && len(u.Accepted) == 0 && u.Queued == 0 }

// within tells whether every connection of u is one of those in earlier.
func (u Use) within(earlier Use) bool {
	for _, inode := range u.Accepted {
		if !slices.Contains(earlier.Accepted, inode) {
			return false
		}
	}
	return u.Queued <= earlier.Queued
}

// and returns what two reads of the same moment say together.
func (u Use) and(other Use) Use {
	u.Listening = u.Listening || other.Listening
	for _, inode := range other.Accepted {
		if !slices.Contains(u.Accepted, inode) {
			u.Accepted = append(u.Accepted, inode)
		}
	}
	u.Queued = max(u.Queued, other.Queued)
	return u
}

// ParseUnix reads /proc/net/unix and returns the use of each QMP monitor in it, by path. Lines of any other form
// are left out.
func ParseUnix(data []byte) map[string]Use {
	uses := make(map[string]Use)
	parseUnix(data, uses, func(path []byte) string { return string(path) })
	return uses
}

// parseUnix puts the use of each monitor into uses, under the name that it has for its path.
func parseUnix(data []byte, uses map[string]Use, name func(path []byte) string) {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if bytes.HasSuffix(line, []byte(".qmp")) || bytes.HasSuffix(line, []byte(".kvmd")) {
			parseUnixLine(line, uses, name)
		}
	}
}

// The states of a socket in /proc/net/unix. One that waits to be accepted has no inode yet.
const (
	stateListening = "01"
	stateQueued    = "02"
	stateAccepted  = "03"
	flagListening  = "00010000"
)

// parseUnixLine reads one line: "address: references protocol flags type state inode path".
func parseUnixLine(line []byte, uses map[string]Use, name func(path []byte) string) {
	var fields [7][]byte
	rest := line
	for i := range fields {
		rest = bytes.TrimLeft(rest, " ")
		fields[i], rest, _ = bytes.Cut(rest, []byte(" "))
	}
	if len(rest) == 0 || rest[0] != '/' {
		return
	}
	path := name(rest)
	use := uses[path]
	switch state := string(fields[5]); {
	case state == stateListening && string(fields[3]) == flagListening:
		use.Listening = true
	case state == stateQueued:
		use.Queued++
	case state == stateAccepted:
		inode, err := strconv.ParseUint(string(fields[6]), 10, 64)
		if err != nil {
			return
		}
		use.Accepted = append(use.Accepted, inode)
	default:
		return
	}
	uses[path] = use
}

// Sockets looks at who uses which monitor. One read of /proc/net/unix answers for all of them. It remembers which connections were
// given up in the middle, so it should live as long as the process, whatever Monitors come and go. It is safe for concurrent use.
type Sockets struct {
	procfs string

	mu     sync.Mutex
	looked time.Time // zero when nobody has since Forget
	took   time.Duration
	uses   map[string]Use // by real path
	// left holds, by real path, the connections that QEMU still had after we gave it up in the middle.
	left map[string]Use

	// The memory of one look is used by the next: in a scrape there may be many.
	data []byte
	read map[string]Use
	// real are the real paths of those that the processes gave when they bound their sockets, until Forget.
	real map[string]string
}

// NewSockets makes a Sockets that reads below procfs, usually /proc.
func NewSockets(procfs string) *Sockets {
	return &Sockets{
		procfs: procfs, uses: make(map[string]Use), left: make(map[string]Use),
		read: make(map[string]Use), real: make(map[string]string),
	}
}

// Forget makes the next question look anew, as at the beginning of a scrape.
func (s *Sockets) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = time.Time{}
	clear(s.real)
}

// Look looks now unless somebody has since Forget, so that those who ask in a moment need not. After an error they look again.
func (s *Sockets) Look() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.looked.IsZero() {
		return nil
	}
	return s.look()
}

// lookAge is how old a look may be to be used for another monitor. Where there are so many sockets that a look
// takes long, it may be four times as old as that.
const lookAge = 10 * time.Millisecond

// use returns who uses the socket at path, as seen a moment ago. The path must be a real one.
func (s *Sockets) use(path string) (Use, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked.IsZero() || time.Since(s.looked) >= max(lookAge, 4*s.took) {
		if err := s.look(); err != nil {
			return Use{}, err
		}
	}
	return s.uses[path], nil
}

// useNow returns who uses the socket at path now.
func (s *Sockets) useNow(path string) (Use, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.look()
	return s.uses[path], err
}

// look reads twice: the kernel gives the list in pieces of a page, and leaves a socket out when others come and go
// between two of them.
func (s *Sockets) look() error {
	start := time.Now()
	s.looked = time.Time{}
	clear(s.uses)
	for range 2 {
		if err := s.readList(); err != nil {
			return fmt.Errorf("look who uses the monitors: %w", err)
		}
		clear(s.read)
		parseUnix(s.data, s.read, s.realPath)
		for path, use := range s.read {
			s.uses[path] = s.uses[path].and(use)
		}
	}
	maps.DeleteFunc(s.left, func(path string, _ Use) bool { return !s.uses[path].Listening }) // the guest is gone
	s.looked, s.took = start, time.Since(start)
	return nil
}

// unfinished returns the connections that were given up in the middle, if any were.
func (s *Sockets) unfinished(path string) (Use, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	use, ok := s.left[path]
	return use, ok
}

// leave remembers the connections of a monitor that was given up in the middle.
func (s *Sockets) leave(path string, use Use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[path] = use
}

// finished forgets them: QEMU has taken notice.
func (s *Sockets) finished(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.left, path)
}

func (s *Sockets) readList() error {
	f, err := os.Open(filepath.Join(s.procfs, "net", "unix"))
	if err != nil {
		return err
	}
	defer f.Close()
	s.data = s.data[:0]
	for {
		s.data = slices.Grow(s.data, 4<<10)
		n, err := f.Read(s.data[len(s.data):cap(s.data)])
		s.data = s.data[:len(s.data)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// realPath follows the symbolic links in the folder of a socket, as /var/run usually is one.
func (s *Sockets) realPath(path []byte) string {
	if known, ok := s.real[string(path)]; ok {
		return known
	}
	given := string(path)
	dir, file := filepath.Split(given)
	resolved, ok := s.real[dir] // ends with a slash, so it is no socket's
	if !ok {
		resolved = realDir(filepath.Clean(dir))
		s.real[dir] = resolved
	}
	s.real[given] = filepath.Join(resolved, file)
	return s.real[given]
}

func realDir(dir string) string {
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		return resolved
	}
	return dir
}
