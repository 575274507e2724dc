// Package adminsocket speaks to the admin sockets of Ceph daemons and clients on this node.
//
// A daemon has one thread for its socket and a short queue, and whatever blocks it there blocks the
// administrator too. So a client asks only what the allow-list holds (see Command), keeps to one connection at a
// time for each socket, and never waits past its deadline.
package adminsocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// moment is how long a call waits for a daemon that still has to answer an earlier one.
const moment = 100 * time.Millisecond

// MaxReply is the largest answer that is read, in bytes. The largest seen is a schema of 0.3 MB.
const MaxReply = 16 << 20

var (
	// ErrRefused is in the error when the daemon answered with "ERROR: ..." instead of JSON: it does not know
	// the command, or not for this kind of daemon.
	ErrRefused = errors.New("daemon refused")
	// ErrReply is in the error when the answer breaks the protocol or is not what the command gives.
	ErrReply = errors.New("malformed answer")
)

// Reply is a daemon's answer to one command.
type Reply struct {
	// Data is the answer, JSON.
	Data []byte
	// PID is the process that made the socket, in our PID namespace; 0 when it is not visible from here.
	PID int
}

// Client calls admin sockets, one connection at a time for each socket. The zero value is ready.
//
// A connection that is closed before its answer came stays in the queue of a daemon that hangs, and the next one
// would stand behind it, until the queue of five is full for the administrator too. So a call that gives up
// leaves its connection open, and until the daemon has answered there or died, further calls of that socket fail
// after a moment with the same error: at most one connection of a client ever waits in a daemon's queue.
type Client struct {
	mu    sync.Mutex
	turns map[socketFile]*turn
}

// socketFile tells a socket from the next one of the same path.
type socketFile struct {
	path  string
	inode uint64
}

// turn is held by the one connection that may use a socket.
type turn struct {
	held  chan struct{}
	users int
	// late is why the call that made the connection gave up on it, nil while it has not.
	late error
}

// Call asks the daemon behind the socket at path. The answer is read into buf where it fits; buf may be nil.
//
// Errors: ErrRefused and ErrReply as above; the context's error when the deadline passed, in this call or in an
// earlier one that the daemon still has to answer; fs.ErrNotExist, fs.ErrPermission, syscall.ECONNREFUSED (a
// socket file that a dead daemon left behind) and syscall.EAGAIN (its queue is full) as the system gives them.
//
// Similar to: ceph --admin-daemon PATH COMMAND
func (c *Client) Call(ctx context.Context, path string, cmd Command, buf []byte) (Reply, error) {
	file, err := identify(path)
	if err != nil {
		return Reply{}, err
	}
	t, err := c.acquire(ctx, file)
	if err != nil {
		return Reply{}, err
	}
	conn, err := dial(ctx, path)
	if err != nil {
		c.release(file, t)
		if ctx.Err() != nil {
			return Reply{}, notInTime(ctx, path)
		}
		return Reply{}, fmt.Errorf("ask %s for %q: %w", path, cmd, sayWhy(err))
	}
	data, err := ask(ctx, conn, cmd, buf)
	if err != nil && ctx.Err() != nil {
		err = notInTime(ctx, path)
		c.leave(file, t, conn, err)
		return Reply{}, err
	}
	defer c.release(file, t)
	defer conn.Close()
	if err != nil {
		return Reply{}, fmt.Errorf("ask %s for %q: %w", path, cmd, sayWhy(err))
	}
	return Reply{Data: data, PID: peerPID(conn)}, nil
}

func identify(path string) (socketFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return socketFile{}, fmt.Errorf("find admin socket: %w", err)
	}
	file := socketFile{path: path}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		file.inode = stat.Ino
	}
	return file, nil
}

// acquire waits until no connection of this client uses the socket.
func (c *Client) acquire(ctx context.Context, file socketFile) (*turn, error) {
	c.mu.Lock()
	if c.turns == nil {
		c.turns = make(map[socketFile]*turn)
	}
	t := c.turns[file]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		c.turns[file] = t
	}
	t.users++
	late := t.late
	c.mu.Unlock()
	if late != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, moment)
		defer cancel()
	}
	select {
	case t.held <- struct{}{}:
		return t, nil
	case <-ctx.Done():
		c.forget(file, t)
		if late != nil {
			return nil, late
		}
		return nil, notInTime(ctx, file.path)
	}
}

func (c *Client) release(file socketFile, t *turn) {
	<-t.held
	c.forget(file, t)
}

func (c *Client) forget(file socketFile, t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(c.turns, file)
	}
}

// leave waits in the background for the answer that nobody wants any more, reads it, so that the daemon need not
// wait for us either, and gives the turn back.
func (c *Client) leave(file socketFile, t *turn, conn net.Conn, why error) {
	c.mu.Lock()
	t.late = why
	c.mu.Unlock()
	go func() {
		_, _ = io.CopyN(io.Discard, conn, MaxReply)
		conn.Close()
		c.mu.Lock()
		t.late = nil
		c.mu.Unlock()
		c.release(file, t)
	}()
}

func dial(ctx context.Context, path string) (*net.UnixConn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// ask sends the command and reads the answer until ctx ends. After it, conn has no deadline.
func ask(ctx context.Context, conn net.Conn, cmd Command, buf []byte) ([]byte, error) {
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(expired)
	})
	defer func() {
		if !stop() {
			<-expired
			_ = conn.SetDeadline(time.Time{})
		}
	}()
	if _, err := io.WriteString(conn, cmd.request); err != nil {
		return nil, err
	}
	return readReply(conn, buf)
}

// readReply reads the length, four bytes in network order, and as many bytes as it says.
func readReply(r io.Reader, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read length: %w", err)
	}
	length := binary.BigEndian.Uint32(head[:])
	if length > MaxReply {
		return nil, fmt.Errorf("%w: length of %d bytes is over the limit of %d", ErrReply, length, MaxReply)
	}
	data, err := readN(r, buf[:0], int(length))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if strings.HasPrefix(string(data[:min(len(data), 6)]), "ERROR:") {
		return nil, fmt.Errorf("%w: %s", ErrRefused, firstLine(data))
	}
	return data, nil
}

// readN reads n bytes and grows buf only as they come, so that a lying length costs no memory.
func readN(r io.Reader, buf []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for len(buf) < n {
		want := min(n-len(buf), step)
		if cap(buf)-len(buf) < want {
			grown := make([]byte, len(buf), len(buf)+want)
			copy(grown, buf)
			buf = grown
		}
		got, err := io.ReadFull(r, buf[len(buf):len(buf)+want])
		buf = buf[:len(buf)+got]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(string(text[:min(len(text), 200)]), "\n")
	return strings.ToValidUTF8(strings.TrimSpace(strings.TrimPrefix(line, "ERROR:")), "?")
}

// peerPID returns the process that listens; the kernel keeps it past the daemon's close.
func peerPID(conn *net.UnixConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// notInTime is the error of whoever waited for a daemon: the one who asked and, with the same words, those who waited
// for their turn, so that one fault is one reason to all who share the client.
func notInTime(ctx context.Context, path string) error {
	return fmt.Errorf("ask %s: no answer in time: %w", path, ctx.Err())
}

// sayWhy adds to an I/O error what an administrator would want to know.
func sayWhy(err error) error {
	var netErr net.Error
	switch {
	case errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Errorf("no answer in time: %w", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens, a dead daemon left the file behind: %w", err)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("queue is full, somebody else keeps it busy or the daemon hangs: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: daemon closed the connection early: %w", ErrReply, err)
	}
	return err
}
